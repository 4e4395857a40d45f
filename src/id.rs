//! Ids of entities, partitions and messages.

use std::cell::Cell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::error::{Error, ErrorKind, Result};

/// Maximum length of an id in bytes. For an entity, this is the length of the whole id `@name@key`.
///
/// An id contains no `/`, `\`, `#`, `?` or control characters. Azure Durable Functions stores ids in columns of a
/// similar size.
pub const MAX_ID_BYTES: usize = 512;

thread_local! {
    static SCRATCH: Cell<String> = const { Cell::new(String::new()) };
}

/// The id of an instance: its text, and the hash that determines its partition.
///
/// Cheap to clone. The hash is `xxh3_64` of the text, or of its [`placement`], and part of the stored format.
#[derive(Clone)]
pub(crate) struct InstanceId {
    text: Arc<str>,
    /// That of the text. All bits of [`PLACED`] are set if the text has a placement, and by chance if it has none, so that
    /// only few texts are searched for one.
    hash: u64,
}

const PLACED: u64 = 0xff << 56;

impl InstanceId {
    /// Wraps a text that is known to be valid, because it was checked or read from the store.
    pub(crate) fn trusted(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let is_placed = placement(&text).is_some();
        Self::new(text, is_placed)
    }

    fn new(text: Arc<str>, is_placed: bool) -> Self {
        let hash = xxh3_64(text.as_bytes());
        let hash = if is_placed { hash | PLACED } else { hash };
        Self { text, hash }
    }

    /// Returns the text without a copy.
    #[cfg(feature = "otel")]
    pub(crate) fn shared_text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// Creates the id of an orchestration.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidId`] if the text is empty, begins with `@`, is a dot segment or
    /// violates the rules for ids.
    pub(crate) fn orchestration(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(invalid(text, "the id of an orchestration is empty"));
        }
        if text.starts_with('@') {
            return Err(invalid(
                text,
                "the id of an orchestration cannot begin with `@`, which marks the id of an entity",
            ));
        }
        check(text)?;
        check_segment(text, text)?;
        Ok(Self::trusted(text))
    }

    /// Creates the id of an orchestration with a placement.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidId`] if the placement is empty or contains `}`, or the errors of
    /// [`orchestration`](Self::orchestration).
    pub(crate) fn placed(with: &str, id: &str) -> Result<Self> {
        let text = format!("{{{with}}}{id}");
        if placement(&text) != Some(with) {
            return Err(invalid(&text, "a placement is not empty, and contains no `}`"));
        }
        Self::orchestration(&text)
    }

    /// Returns whether the id names an entity. All other ids name orchestrations.
    pub(crate) fn is_entity(&self) -> bool {
        self.text.starts_with('@')
    }

    /// Returns the name of the entity's type, or an empty string for an orchestration.
    pub(crate) fn entity_name(&self) -> &str {
        Self::name_in(&self.text)
    }

    /// Returns the name of the entity's type in the text of an id, or an empty string for an orchestration.
    pub(crate) fn name_in(text: &str) -> &str {
        entity_parts(text).0
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Places a generated id with this instance, if this one has a placement that leaves room for it.
    pub(crate) fn place(&self, id: String) -> String {
        let placed = placement(&self.text).map(|placement| format!("{{{placement}}}{id}"));
        placed.filter(|placed| placed.len() <= MAX_ID_BYTES).unwrap_or(id)
    }

    /// Returns the partition that owns this instance in a hub of `partitions` partitions.
    #[inline]
    pub(crate) fn partition(&self, partitions: u16) -> PartitionId {
        let hash = if self.hash & PLACED == PLACED {
            self.hash_of_placement()
        } else {
            self.hash
        };
        PartitionId((hash % u64::from(partitions)) as u16)
    }

    /// Returns the hash of the placement, or of the text if it has none.
    #[cold]
    fn hash_of_placement(&self) -> u64 {
        placement(&self.text).map_or(self.hash, |placement| xxh3_64(placement.as_bytes()))
    }
}

impl Serialize for InstanceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for InstanceId {
    /// Reads an id of a record. The text was checked before it was stored.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = InstanceId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the id of an instance")
            }

            fn visit_str<E>(self, text: &str) -> std::result::Result<InstanceId, E> {
                Ok(InstanceId::trusted(text))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
impl From<&str> for InstanceId {
    fn from(text: &str) -> Self {
        Self::trusted(text)
    }
}

/// Returns the placement in the text of an id, if it has one. See [`Placed`](crate::Placed).
pub(crate) fn placement(id: &str) -> Option<&str> {
    // Most ids have none, and are so short that a plain loop is faster than a search that is optimized for long texts.
    let begin = id.bytes().position(|byte| byte == b'{')?;
    let rest = &id[begin + 1..];
    let (placement, _) = rest.split_once('}')?;
    (!placement.is_empty()).then_some(placement)
}

/// Lists ids, for error texts.
pub(crate) fn list_of_ids(ids: &[InstanceId]) -> String {
    let mut list = String::new();
    for id in ids {
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(id.as_str());
    }
    list
}

/// Splits the text of an entity's id into name and key. Both are empty for an orchestration.
fn entity_parts(text: &str) -> (&str, &str) {
    let Some(rest) = text.strip_prefix('@') else {
        return ("", "");
    };
    // Names are short. For a few bytes, a plain loop takes a fifth of the time of a search that is optimized for long
    // texts.
    match rest.bytes().position(|byte| byte == b'@') {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => ("", ""),
    }
}

impl PartialEq for InstanceId {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.text == other.text
    }
}

impl Eq for InstanceId {}

impl Hash for InstanceId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialOrd for InstanceId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for InstanceId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The id of an entity, written `@name@key`.
///
/// The name is lower-case, not empty and contains no `@`. The key is any text, including the empty one, except `$`,
/// which stands for the empty key in URLs. Neither contains `/`, `\`, `#`, `?` or control characters. Neither is a dot
/// segment of a URL (`.` or `..`, also with dots encoded as `%2e`). The whole id has at most [`MAX_ID_BYTES`] bytes.
///
/// ```
/// use abide::prelude::*;
///
/// let id: EntityId = "@account@alice".parse()?;
/// assert_eq!(id, EntityId::new("Account", "alice")?);
/// assert_eq!((id.name(), id.key(), id.as_str()), ("account", "alice", "@account@alice"));
///
/// let error = EntityId::new("account", "alice/savings").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidId);
/// # Ok::<(), abide::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityId(InstanceId);

impl EntityId {
    /// Creates the id of the entity of type `name` with the key `key`. The name is converted to lower case.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidId`] if the name or the key violates the rules.
    pub fn new(name: &str, key: &str) -> Result<Self> {
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) || !name.is_ascii() {
            std::borrow::Cow::Owned(name.to_lowercase())
        } else {
            std::borrow::Cow::Borrowed(name)
        };
        if name.is_empty() {
            return Err(invalid(key, "the entity name is empty"));
        }
        if name.contains('@') {
            return Err(invalid(&name, "an entity name cannot contain `@`"));
        }
        check_segment(&name, &name)?;
        Self::with_key(&name, |text| text.push_str(key))
    }

    /// Creates an id whose key is written directly into its text. The name must be valid.
    pub(crate) fn with_key(name: &str, write_key: impl FnOnce(&mut String)) -> Result<Self> {
        // The text is written into a reused buffer, so that an id costs a single allocation. The buffer is taken out
        // meanwhile: user code writes the key, and may create ids as well.
        let mut text = SCRATCH.take();
        text.clear();
        text.push('@');
        text.push_str(name);
        text.push('@');
        write_key(&mut text);
        let checked = check(&text).and_then(|checked| check_key(&text, name.len() + 2).map(|()| checked));
        let id = checked.map(|checked| match checked {
            Checked::Plain => Self(InstanceId::new(text.as_str().into(), false)),
            Checked::MayBePlaced => Self(InstanceId::trusted(&*text)),
        });
        if text.capacity() <= 2 * MAX_ID_BYTES {
            SCRATCH.set(text);
        }
        id
    }

    /// Returns the name of the entity's type, in lower case.
    pub fn name(&self) -> &str {
        self.split().0
    }

    /// Returns the key within the type.
    pub fn key(&self) -> &str {
        self.split().1
    }

    /// Returns the whole id, `@name@key`.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn instance(&self) -> &InstanceId {
        &self.0
    }

    pub(crate) fn into_instance(self) -> InstanceId {
        self.0
    }

    /// Wraps an instance that is known to be an entity.
    pub(crate) fn from_instance(instance: InstanceId) -> Self {
        debug_assert!(!instance.entity_name().is_empty());
        Self(instance)
    }

    /// Returns the id of a stored instance, if it is an entity.
    pub(crate) fn of_stored(text: &str) -> Option<Self> {
        let instance = InstanceId::trusted(text);
        (!instance.entity_name().is_empty()).then_some(Self(instance))
    }

    fn split(&self) -> (&str, &str) {
        entity_parts(self.0.as_str())
    }
}

impl FromStr for EntityId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, key) = text
            .strip_prefix('@')
            .and_then(|rest| rest.split_once('@'))
            .ok_or_else(|| invalid(text, "an entity id is written `@name@key`"))?;
        Self::new(name, key)
    }
}

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A text that can be an id.
enum Checked {
    /// It has no placement.
    Plain,
    MayBePlaced,
}

fn check(text: &str) -> Result<Checked> {
    if text.len() > MAX_ID_BYTES {
        let reason = format!("it has {} bytes, but the limit is {MAX_ID_BYTES}", text.len());
        return Err(invalid(text, &reason));
    }
    // Fast path: nearly every id consists of plain ASCII characters, and has no placement.
    if text
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'/' | b'\\' | b'#' | b'?' | b'{'))
    {
        return Ok(Checked::Plain);
    }
    match text
        .chars()
        .find(|c| matches!(c, '/' | '\\' | '#' | '?') || c.is_control())
    {
        Some(character) => Err(invalid(text, &format!("it contains {character:?}"))),
        None => Ok(Checked::MayBePlaced),
    }
}

/// Refuses a segment that has a special meaning in the path of a URL: clients resolve dot segments before they send a
/// request. Sources: RFC 3986, 5.2.4, and the WHATWG URL standard for dots encoded as `%2e`.
fn check_segment(segment: &str, text: &str) -> Result<()> {
    // Two encoded dots have six bytes.
    if segment.len() <= 6 && matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..") {
        let reason = format!("`{segment}` is a dot segment, which the path of a URL cannot contain");
        return Err(invalid(text, &reason));
    }
    Ok(())
}

/// Refuses a key that a URL cannot represent. The key begins at byte `begin` of `text`.
fn check_key(text: &str, begin: usize) -> Result<()> {
    let key = text.get(begin..).unwrap_or_default();
    match key.as_bytes().first() {
        Some(b'.' | b'%') => check_segment(key, text),
        Some(b'$') if key.len() == 1 => Err(invalid(
            text,
            "`$` stands for the empty key in URLs; use the empty key itself",
        )),
        _ => Ok(()),
    }
}

fn invalid(text: &str, reason: &str) -> Error {
    let shown: String = text.chars().take(64).collect();
    Error::new(
        ErrorKind::InvalidId,
        format!(
            "the id `{}` is not valid: {reason}; an id has at most {MAX_ID_BYTES} bytes and contains no `/`, `\\`, \
             `#`, `?` or control characters",
            shown.escape_debug()
        ),
    )
}

/// Maximum length of a request id or a timer id in bytes. Source: the length of an instance id, beside which it is
/// stored.
const MAX_NAME_BYTES: usize = 512;

/// Checks that a request id or a timer id can be part of a key. `what` names the kind of id in errors.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
        return Err(Error::new(
            ErrorKind::InvalidId,
            format!(
                "the {what} `{}` is not valid: it must have 1 to {MAX_NAME_BYTES} bytes and no control characters",
                name.chars().take(64).collect::<String>().escape_debug()
            ),
        ));
    }
    Ok(())
}

/// Checks that the name of an event or of an orchestration can be part of a key and of the path of a URL.
pub(crate) fn check_path_name(what: &str, name: &str) -> Result<()> {
    check_name(what, name)?;
    check_segment(name, name).map_err(|_| {
        Error::new(
            ErrorKind::InvalidId,
            format!(
                "the {what} `{name}` is not valid: it is a dot segment, which the path of a URL cannot contain; choose \
                 another name"
            ),
        )
    })
}

/// Maximum number of tags of one orchestration. Tags are read and written with every change of the orchestration's row.
pub(crate) const MAX_TAGS: usize = 64;

/// Maximum size of the names and values of all tags of one orchestration, in bytes.
pub(crate) const MAX_TAG_BYTES: usize = 16 << 10;

/// Checks the names, the number and the size of an orchestration's tags.
pub(crate) fn check_tags(tags: &[(String, String)]) -> Result<()> {
    for (name, _) in tags {
        check_name("name of a tag", name)?;
    }
    let bytes: usize = tags.iter().map(|(name, value)| name.len() + value.len()).sum();
    if tags.len() > MAX_TAGS || bytes > MAX_TAG_BYTES {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "an orchestration has {} tags with {bytes} bytes, but the limit is {MAX_TAGS} tags with \
                 {MAX_TAG_BYTES} bytes in total; put large data into the input",
                tags.len()
            ),
        ));
    }
    Ok(())
}

/// Sets a tag, replacing one of the same name.
pub(crate) fn set_tag(tags: &mut Vec<(String, String)>, name: String, value: String) {
    tags.retain(|(known, _)| *known != name);
    tags.push((name, value));
}

/// Checks the version of an orchestration. It is empty if the orchestration has none.
pub(crate) fn check_version(version: &str) -> Result<()> {
    match version {
        "" => Ok(()),
        version => check_name("version", version),
    }
}

/// The id of one execution of an orchestration: a start, a continue-as-new, a restart or a rewind.
///
/// It is derived from the hub's identity, the instance and the message that began the execution. Two copies of one hub
/// therefore never give the same id to different executions.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ExecutionId(pub(crate) [u8; 16]);

impl ExecutionId {
    /// Derives the id of the execution of `instance` that `message` begins. `hub` holds the hub's id and incarnation.
    pub(crate) fn derive(hub: &str, instance: &InstanceId, message: MessageId) -> Self {
        let text = format!("{hub}/{instance}/{message}");
        Self(xxh3_128(text.as_bytes()).to_be_bytes())
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        for (digits, byte) in text.chunks_exact_mut(2).zip(self.0) {
            digits[0] = DIGITS[usize::from(byte >> 4)];
            digits[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The number of a step of an execution. It is claimed when a call is made, not when it is polled.
pub(crate) type Sequence = u64;

/// A fixed share of all instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct PartitionId(pub(crate) u16);

/// The id of a shard: a part of a hub that has its own order of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ShardId(pub(crate) u16);

impl ShardId {
    /// Returns the shard that has a partition, in a hub of so many shards.
    pub(crate) fn of(partition: PartitionId, count: u16) -> Self {
        Self(partition.0 % count)
    }

    /// Returns the number of the shard, as an index into a list of all shards.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Returns the partition that stands for the shard in the keys of other shards. It is one of its own.
    pub(crate) fn partition(self) -> PartitionId {
        PartitionId(self.0)
    }
}

/// One of the shards of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) id: ShardId,
    /// Number of shards of the hub.
    pub(crate) count: u16,
}

impl Shard {
    /// A hub that is not divided.
    pub(crate) const WHOLE: Self = Self {
        id: ShardId(0),
        count: 1,
    };

    /// Returns the shard that has a partition.
    pub(crate) fn of(self, partition: PartitionId) -> ShardId {
        ShardId::of(partition, self.count)
    }

    /// Returns `true` if this shard has the partition.
    pub(crate) fn has(self, partition: PartitionId) -> bool {
        self.of(partition) == self.id
    }

    /// Returns the other shards of the hub.
    pub(crate) fn others(self) -> impl Iterator<Item = ShardId> {
        (0..self.count).map(ShardId).filter(move |other| *other != self.id)
    }
}

/// The id of a message: the batch that created or accepted it, and its index in that batch. It is unique in the hub.
///
/// The ids of one sender increase. A message to another shard gets a new id there. An id that was not durable never leaves
/// the process, so a batch number that was lost in a crash may be used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct MessageId {
    pub(crate) batch: u64,
    pub(crate) index: u32,
}

impl MessageId {
    pub(crate) const MIN: Self = Self { batch: 0, index: 0 };

    /// Returns the next id in order.
    pub(crate) fn next(self) -> Self {
        match self.index.checked_add(1) {
            Some(index) => Self { index, ..self },
            None => Self {
                batch: self.batch + 1,
                index: 0,
            },
        }
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.batch, self.index)
    }
}

/// The key of one activity of one execution. All attempts share it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ActivityKey {
    pub(crate) instance: InstanceId,
    pub(crate) execution: ExecutionId,
    pub(crate) sequence: Sequence,
}

impl Hash for ActivityKey {
    /// The id of an execution is a hash, and the numbers of its steps are spread over all bits.
    fn hash<H: Hasher>(&self, state: &mut H) {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let execution = u128::from_be_bytes(self.execution.0) as u64;
        state.write_u64(execution ^ self.sequence.wrapping_mul(ODD));
    }
}

impl fmt::Display for ActivityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.instance, self.execution, self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names are converted to lower case, keys are kept, and the text yields both parts again.
    #[test]
    fn an_id_keeps_its_parts() {
        let id = EntityId::new("Account", "Ä b@c").unwrap();
        assert_eq!(
            (id.name(), id.key(), id.as_str()),
            ("account", "Ä b@c", "@account@Ä b@c")
        );
        assert_eq!("@Account@Ä b@c".parse::<EntityId>().unwrap(), id);
        assert_eq!(EntityId::new("a", "").unwrap().key(), "");
    }

    /// The text of an execution is that of its number in 32 hexadecimal digits.
    #[test]
    fn an_execution_is_written_in_hexadecimal_digits() {
        let number = 0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978_u128;
        let execution = ExecutionId(number.to_be_bytes());
        assert_eq!(execution.to_string(), format!("{number:032x}"));
    }

    /// A violation of each rule is refused with a text that names the id and the reason.
    #[test]
    fn a_broken_id_is_refused_with_its_reason() {
        for (name, key, reason) in [
            ("", "k", "empty"),
            ("a@b", "k", "cannot contain `@`"),
            ("a", "x/y", "contains '/'"),
            ("a", "x\\y", "contains '\\\\'"),
            ("a", "x#y", "contains '#'"),
            ("a", "x?y", "contains '?'"),
            ("a", "x\ny", "contains '\\n'"),
            ("a", &"k".repeat(510), "513 bytes"),
        ] {
            let error = EntityId::new(name, key).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidId);
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!(EntityId::new("a", &"k".repeat(509)).is_ok());
        assert!("account".parse::<EntityId>().is_err());
    }

    /// An id, a name or a key that a URL cannot represent is refused wherever it is created. Similar valid ones are
    /// accepted.
    #[test]
    fn an_id_that_a_url_cannot_represent_is_refused() {
        for dots in [".", "..", "%2e", "%2E", ".%2e", "%2e.", "%2E%2e", "%2e%2E"] {
            for error in [
                InstanceId::orchestration(dots).unwrap_err(),
                EntityId::new("a", dots).unwrap_err(),
                EntityId::with_key("a", |text| text.push_str(dots)).unwrap_err(),
                EntityId::new(dots, "k").unwrap_err(),
                format!("@a@{dots}").parse::<EntityId>().unwrap_err(),
                check_path_name("event name", dots).unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::InvalidId);
                assert!(error.to_string().contains("is a dot segment"), "{dots}: {error}");
                assert!(
                    error.to_string().to_lowercase().contains(&dots.to_lowercase()),
                    "{error}"
                );
            }
        }
        let error = EntityId::new("a", "$").unwrap_err();
        assert!(error.to_string().contains("`$` stands for the empty key"), "{error}");
        for fine in [
            "...",
            ".a",
            "a.",
            "..a",
            "%2e%2e%2e",
            "%2f",
            "%",
            "$$",
            "$a",
            "a$",
            "%24",
        ] {
            assert_eq!(EntityId::new("a", fine).unwrap().key(), fine);
            assert_eq!(InstanceId::orchestration(fine).unwrap().as_str(), fine);
            check_path_name("event name", fine).unwrap();
        }
        assert_eq!(InstanceId::orchestration("$").unwrap().as_str(), "$");
    }

    /// Only the id of an entity is recognized as one, even if the first character has several bytes.
    #[test]
    fn an_orchestration_is_never_taken_for_an_entity() {
        for text in ["order-1", "éclair", "日本", "@", "@a", "@@a", ""] {
            assert_eq!(EntityId::of_stored(text), None, "{text}");
        }
        let id = EntityId::of_stored("@éclair@日@本").unwrap();
        assert_eq!((id.name(), id.key()), ("éclair", "日@本"));
    }

    /// Placement is part of the stored format, so these values must never change.
    #[test]
    fn placement_is_pinned() {
        let place = |text: &str| InstanceId::trusted(text).partition(64).0;
        let ids = ["@counter@alice", "@counter@bob", "@account@", "order-1"];
        assert_eq!(ids.map(place), [2, 50, 62, 54]);
    }
}
