//! The members and variants of a type, as its own deserializer names them.

use std::cell::RefCell;

use serde::de::value::{Error, StrDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

/// A struct's fields, or an enum's variants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Struct(&'static [&'static str]),
    Enum(Vec<(&'static str, Variant)>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Variant {
    Unit,
    Newtype,
    Struct(&'static [&'static str]),
}

/// What a deserializer was asked for.
#[derive(Default)]
struct Asked {
    fields: Option<&'static [&'static str]>,
    variants: &'static [&'static str],
    variant: Option<Variant>,
}

/// Gives nothing, or the variant of this position without its content.
#[derive(Clone, Copy)]
struct Probe<'p> {
    asked: &'p RefCell<Asked>,
    variant: usize,
}

/// The shape of a type.
///
/// # Panics
/// Where it is neither a struct nor an enum to serde.
pub(crate) fn shape<'de, T: Deserialize<'de>>() -> Shape {
    let asked = RefCell::default();
    let probe = |variant| {
        let asked = &asked;
        // It fails, because no content is given; an enum's unit variants are complete.
        drop(T::deserialize(Probe { asked, variant }));
        asked.borrow_mut().variant.take()
    };
    let first = probe(0);
    let Asked {
        fields, variants, ..
    } = asked.take();
    match fields {
        Some(fields) => Shape::Struct(fields),
        None => {
            let rest = (1..variants.len()).map(probe);
            let all = std::iter::once(first).chain(rest);
            let all = variants.iter().zip(all);
            Shape::Enum(
                all.map(|(name, of)| (*name, of.expect("a variant")))
                    .collect(),
            )
        }
    }
}

fn stop() -> Error {
    serde::de::Error::custom("only the shape is wanted")
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        panic!("neither a struct nor an enum")
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.asked.borrow_mut().fields = Some(fields);
        Err(stop())
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.asked.borrow_mut().variants = variants;
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

impl<'de> EnumAccess<'de> for Probe<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let name = self.asked.borrow().variants[self.variant];
        let name: StrDeserializer<'_, Error> = name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl Probe<'_> {
    fn found(&self, variant: Variant) {
        self.asked.borrow_mut().variant = Some(variant);
    }
}

impl<'de> VariantAccess<'de> for Probe<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.found(Variant::Unit);
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _: S) -> Result<S::Value, Error> {
        self.found(Variant::Newtype);
        Err(stop())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        panic!("a tuple has no names")
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.found(Variant::Struct(fields));
        Err(stop())
    }
}
