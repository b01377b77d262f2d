//! The top-level object. Descriptors are validated as they are read; nothing else of
//! `manifests` is kept in memory.

use super::IMAGE_KEYS;
use super::NotAnIndex;
use super::descriptor::{Descriptor, DescriptorError};
use super::error::NotInteroperable;
use super::json::{DESCRIPTOR_KEYS, INDEX_KEYS, Node, Object, PLATFORM_KEYS, Reader};

/// Length of the shortest descriptor and its comma: what the list can grow to is reserved at
/// once, because growth by doubling holds up to three times as much.
const MIN_DESCRIPTOR_LEN: usize = br#"{"mediaType":"a","digest":"a:b","size":1},"#.len();

/// A parsed document, not yet validated.
pub(super) struct Document<'j> {
    pub(super) top: Object<'j>,
    /// The list of manifests, or the position of the first invalid one.
    pub(super) manifests: Manifests,
    /// A duplicate key of any object outside the list of manifests.
    pub(super) duplicate: Option<String>,
}

type Manifests = Result<Vec<Descriptor>, (u32, DescriptorError)>;

impl<'j> Document<'j> {
    pub(super) fn read(bytes: &'j [u8]) -> Result<Self, NotAnIndex> {
        let mut reader = Reader::new(bytes)?;
        if reader.peek() != Some(b'{') {
            return Err(NotAnIndex::NotAnObject);
        }
        let (mut top, mut manifests) = (Object::default(), Ok(Vec::new()));
        let names = [INDEX_KEYS, &IMAGE_KEYS].concat();
        reader.members(&names, |reader, key| {
            let is_list = key.as_deref() == Some("manifests") && reader.peek() == Some(b'[');
            let node = if is_list {
                manifests = read_manifests(reader)?;
                Node::Array
            } else {
                reader.value(&[])?
            };
            top.add(key, node);
            Ok(())
        })?;
        let duplicate = reader.duplicate;
        Ok(Self {
            top,
            manifests,
            duplicate,
        })
    }
}

fn read_manifests(reader: &mut Reader<'_>) -> Result<Manifests, NotInteroperable> {
    let mut list = Vec::with_capacity(reader.remaining() / MIN_DESCRIPTOR_LEN + 1);
    let (mut error, mut position) = (None, 0);
    let outside = reader.duplicate.take();
    reader.elements(|reader| {
        let node = reader.value(&[DESCRIPTOR_KEYS, PLATFORM_KEYS])?;
        let duplicate = reader.duplicate.take();
        if error.is_none() {
            match Descriptor::read(&node, duplicate) {
                Ok(descriptor) => list.push(descriptor),
                Err(reason) => error = Some((position, reason)),
            }
        }
        position += 1;
        Ok(())
    })?;
    reader.duplicate = outside;
    Ok(error.map_or(Ok(list), Err))
}
