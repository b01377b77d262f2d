//! The top-level object. Descriptors are validated as they are read; nothing else of
//! `manifests` is kept in memory.

use super::IMAGE_KEYS;
use super::NotAnIndex;
use super::descriptor::Descriptor;
use super::error::NotInteroperable;
use super::json::{DESCRIPTOR_KEYS, INDEX_KEYS, Node, Object, PLATFORM_KEYS, Reader};

/// Length of the shortest descriptor and its comma: what the list can grow to is reserved at
/// once, because growth by doubling holds up to three times as much.
pub(super) const MIN_DESCRIPTOR_LEN: usize = br#"{"mediaType":"a","digest":"a:b","size":1},"#.len();

/// A parsed document, not yet validated.
pub(super) struct Document<'j> {
    pub(super) top: Object<'j>,
    /// The list of manifests, or why the first invalid one is not a descriptor.
    pub(super) manifests: Result<Vec<Descriptor>, NotAnIndex>,
    /// A duplicate key of any object outside the list of manifests.
    pub(super) duplicate: Option<String>,
}

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

fn read_manifests(
    reader: &mut Reader<'_>,
) -> Result<Result<Vec<Descriptor>, NotAnIndex>, NotInteroperable> {
    let mut manifests = Ok(Vec::with_capacity(
        reader.remaining() / MIN_DESCRIPTOR_LEN + 1,
    ));
    let outside = reader.duplicate.take();
    reader.elements(|reader| {
        let node = reader.value(&[DESCRIPTOR_KEYS, PLATFORM_KEYS])?;
        let duplicate = reader.duplicate.take();
        if let Ok(list) = &mut manifests {
            // Never saturates: MAX_MANIFEST_SIZE holds far fewer descriptors.
            let position = u32::try_from(list.len()).unwrap_or(u32::MAX);
            match Descriptor::read(&node, duplicate) {
                Ok(descriptor) => list.push(descriptor),
                Err(error) => manifests = Err(NotAnIndex::Descriptor { error, position }),
            }
        }
        Ok(())
    })?;
    reader.duplicate = outside;
    Ok(manifests)
}
