//! Keys of entities.

use std::borrow::Cow;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;

use uuid::Uuid;

/// A key of an entity: text, an integer, a UUID, or a custom type with one text per value.
///
/// The text may be empty. It is part of the id `@name@key`, which appears in URLs and logs. It must not contain `/`,
/// `\`, `#`, `?` or control characters, and must not be `$` or a dot segment of a URL (`.`, `..`). The whole id has at
/// most [512 bytes](crate::MAX_ID_BYTES). [`EntityId`](crate::EntityId) documents all rules. The use of a reference
/// with an invalid key fails with [`InvalidId`](crate::ErrorKind::InvalidId). Encode or hash text from outside, such as
/// a path or a URL.
///
/// ```
/// struct OrderNumber { shop: u32, number: u64 }
///
/// impl abide::Key for OrderNumber {
///     fn write_key(&self, text: &mut String) {
///         self.shop.write_key(text);
///         text.push('-');
///         self.number.write_key(text);
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of an entity",
    label = "not a key",
    note = "a key is text, an integer, a UUID, or a type that implements `abide::Key`",
    note = "a float has no unique text per value: use an integer of the smallest unit; an `Option` may hold no key: handle `None` first"
)]
pub trait Key {
    /// Appends the text of the key.
    ///
    /// Equal keys must have equal texts, and different keys different texts. The text is stored, so it must never
    /// change.
    fn write_key(&self, text: &mut String);
}

#[diagnostic::do_not_recommend]
impl<K: Key + ?Sized> Key for &K {
    fn write_key(&self, text: &mut String) {
        K::write_key(self, text);
    }
}

macro_rules! text_keys {
    ($($type:ty),*) => {$(
        impl Key for $type {
            fn write_key(&self, text: &mut String) {
                text.push_str(self);
            }
        }
    )*};
}

text_keys!(str, String, Box<str>, Arc<str>, Rc<str>, Cow<'_, str>);

macro_rules! shown_keys {
    ($($type:ty),*) => {$(
        impl Key for $type {
            fn write_key(&self, text: &mut String) {
                // Writing to a `String` cannot fail.
                let _ = write!(text, "{self}");
            }
        }
    )*};
}

shown_keys!(char, Uuid);

macro_rules! number_keys {
    ($($type:ty),*) => {$(
        impl Key for $type {
            fn write_key(&self, text: &mut String) {
                text.push_str(itoa::Buffer::new().format(*self));
            }
        }
    )*};
}

number_keys!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);
