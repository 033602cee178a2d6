//! One committed transaction as bytes.
//!
//! A delta is encoded once, on the core of the session that commits, before it has an LSN. The same bytes
//! are then the commit log entry's part, the link's part, and what home cores and readers apply; who puts
//! them into a [group](crate::group) gives the LSN by position.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | CRC32C of bytes 4 to the end |
//! | 4 | 4 | length of the delta, these 8 bytes included |
//! | 8 | 1 | version of this record, 1 |
//! | 9 | 1 | flags |
//! | 10 | 8 | wall clock of the commit, microseconds since 1970 |
//! | 18 | 4 | number of writes |
//! | 22 | | the writes |
//!
//! A write is varint key length, varint value length plus one (0: a deletion), key, value. A key occurs at
//! most once; the order of the writes has no meaning.
//!
//! A delta with the flag *spilled* also lists tables: each is a write whose key is four bytes 0xFF and the table's
//! id, big-endian, and whose value is an [`SstMeta`] that leaves its `commit_lsn` open. No row has such a key, and
//! no iterator shows them as rows.

use aquifer_types::{IndexId, Lsn};
use bytes::Bytes;
use prost::Message;

use crate::error::{FormatError, FormatResult};
use crate::manifest::SstMeta;
use crate::wire::{put_varint, u32_at, u64_at, varint_at};

/// Largest delta. A larger transaction travels as tables that one edit makes visible.
pub const DELTA_BYTES_MAX: usize = 48 << 20;

/// Bytes before the first write.
pub const DELTA_HEADER_BYTES: usize = 22;

/// Index ids below this one are the catalog's.
pub const CATALOG_INDEX_END: IndexId = IndexId(1024);

/// What the keys begin with under which a delta lists tables.
const SPILLED_PREFIX: [u8; 4] = [0xFF; 4];

const VERSION: u8 = 1;
const LENGTH_AT: usize = 4;
const VERSION_AT: usize = 8;
const FLAGS_AT: usize = 9;
const MICROS_AT: usize = 10;
const COUNT_AT: usize = 18;

/// What is special about a delta.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeltaFlags(u8);

impl DeltaFlags {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// A key belongs to a table of the catalog. The builder sets it.
    pub const CATALOG: Self = Self(1);
    /// Further writes of the transaction are in tables whose
    /// [`commit_lsn`](crate::SstMeta::commit_lsn) is this delta's LSN; an edit in the same link adds them.
    pub const SPILLED: Self = Self(2);

    const KNOWN: u8 = 3;

    /// Whether all flags of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A write without its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// The key has this value from now on.
    Put(Bytes),
    /// The key has no value from now on.
    Delete,
}

/// Collects the writes of a transaction.
#[derive(Debug)]
pub struct DeltaBuilder {
    bytes: Vec<u8>,
    count: u32,
    flags: DeltaFlags,
    over: Option<FormatError>,
}

impl Default for DeltaBuilder {
    fn default() -> Self {
        Self::with_capacity(256)
    }
}

impl DeltaBuilder {
    /// An empty delta.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty delta with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity.max(DELTA_HEADER_BYTES));
        bytes.resize(DELTA_HEADER_BYTES, 0);
        Self { bytes, count: 0, flags: DeltaFlags::NONE, over: None }
    }

    /// Sets flags in addition to those the builder finds itself.
    pub fn flag(&mut self, flags: DeltaFlags) {
        self.flags = self.flags.with(flags);
    }

    /// Adds a write of `value`. A failure is told by [`DeltaBuilder::finish`].
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.push(key, Some(value));
    }

    /// Adds a deletion.
    pub fn delete(&mut self, key: &[u8]) {
        self.push(key, None);
    }

    /// Lists a table that holds further writes of the transaction, and sets [`DeltaFlags::SPILLED`].
    pub fn spilled(&mut self, table: &SstMeta) {
        self.flag(DeltaFlags::SPILLED);
        let key = [&SPILLED_PREFIX[..], &table.sst_id().0.to_be_bytes()].concat();
        self.push(&key, Some(&table.encode_to_vec()));
    }

    /// How many writes were added, listed tables included.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the delta as it stands.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        let value_bytes = value.map_or(0, <[u8]>::len);
        let bytes = self.bytes.len().saturating_add(key.len()).saturating_add(value_bytes);
        let lengths = u32::try_from(key.len()).ok().zip(u32::try_from(value_bytes).ok());
        let Some((key_bytes, value_bytes)) = lengths.filter(|_| bytes + 10 <= DELTA_BYTES_MAX) else {
            self.over = Some(too_large(bytes));
            return;
        };
        if is_catalog_key(key) {
            self.flags = self.flags.with(DeltaFlags::CATALOG);
        }
        put_varint(&mut self.bytes, key_bytes);
        put_varint(&mut self.bytes, if value.is_some() { value_bytes + 1 } else { 0 });
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.count += 1;
    }

    /// The delta, committed at `wall_micros` (microseconds since 1970).
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] when the writes exceed [`DELTA_BYTES_MAX`].
    pub fn finish(self, wall_micros: u64) -> FormatResult<Bytes> {
        if let Some(over) = self.over {
            return Err(over);
        }
        let mut bytes = self.bytes;
        let length = u32::try_from(bytes.len()).map_err(|_| too_large(bytes.len()))?;
        bytes[LENGTH_AT..VERSION_AT].copy_from_slice(&length.to_le_bytes());
        bytes[VERSION_AT] = VERSION;
        bytes[FLAGS_AT] = self.flags.0;
        bytes[MICROS_AT..COUNT_AT].copy_from_slice(&wall_micros.to_le_bytes());
        bytes[COUNT_AT..DELTA_HEADER_BYTES].copy_from_slice(&self.count.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[LENGTH_AT..]);
        bytes[..LENGTH_AT].copy_from_slice(&crc.to_le_bytes());
        Ok(Bytes::from(bytes))
    }
}

fn too_large(bytes: usize) -> FormatError {
    FormatError::TooLarge {
        what: "a transaction's delta",
        bytes: bytes as u64,
        bytes_max: DELTA_BYTES_MAX as u64,
    }
}

/// Whether a key belongs to a table of the catalog.
#[must_use]
pub fn is_catalog_key(key: &[u8]) -> bool {
    key.first_chunk::<4>().is_some_and(|id| u32::from_be_bytes(*id) < CATALOG_INDEX_END.0)
}

/// Encodes a transaction's writes; `None` is a deletion.
///
/// # Errors
/// As [`DeltaBuilder::finish`].
pub fn encode_delta<'a>(
    writes: impl IntoIterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    flags: DeltaFlags,
    wall_micros: u64,
) -> FormatResult<Bytes> {
    let mut builder = DeltaBuilder::new();
    builder.flag(flags);
    for (key, value) in writes {
        builder.push(key, value);
    }
    builder.finish(wall_micros)
}

/// A delta whose checksum and structure have been verified. Keys and values share its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeltaView {
    bytes: Bytes,
}

impl DeltaView {
    /// Verifies exactly one delta.
    ///
    /// # Errors
    /// [`FormatError::Truncated`], [`FormatError::Checksum`], [`FormatError::NewerVersion`],
    /// [`FormatError::Malformed`].
    pub fn parse(bytes: Bytes) -> FormatResult<Self> {
        let length = framed_bytes(&bytes)?;
        if bytes.len() > length {
            return Err(FormatError::Malformed("bytes follow the end of a delta"));
        }
        verify(&bytes)?;
        Ok(Self { bytes })
    }

    /// Takes bytes that [`verify`] has accepted before.
    pub(crate) fn from_verified(bytes: Bytes) -> Self {
        Self { bytes }
    }

    /// The delta as it was encoded.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What is special about it.
    #[must_use]
    pub fn flags(&self) -> DeltaFlags {
        flags_of(&self.bytes)
    }

    /// Whether it changes the catalog.
    #[must_use]
    pub fn touches_catalog(&self) -> bool {
        self.flags().contains(DeltaFlags::CATALOG)
    }

    /// When it was committed, by the writer's wall clock, in microseconds since 1970.
    #[must_use]
    pub fn wall_micros(&self) -> u64 {
        u64_at(&self.bytes, MICROS_AT).unwrap_or(0)
    }

    /// Whether further writes of the transaction are in tables.
    #[must_use]
    pub fn is_spilled(&self) -> bool {
        self.flags().contains(DeltaFlags::SPILLED)
    }

    /// The tables that hold further writes of the transaction, whose LSN is `lsn`.
    pub fn spilled(&self, lsn: Lsn) -> impl Iterator<Item = SstMeta> + '_ {
        let listed = Spilled {
            bytes: &self.bytes,
            at: if self.is_spilled() { DELTA_HEADER_BYTES } else { usize::MAX },
        };
        // Verified when the delta was parsed.
        listed.filter_map(Result::ok).map(move |table| SstMeta { commit_lsn: lsn.0, ..table })
    }

    /// How many writes it holds, listed tables included.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32_at(&self.bytes, COUNT_AT).unwrap_or(0)
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The writes in the order in which they were added.
    #[must_use]
    pub fn iter(&self) -> Writes {
        Writes { bytes: self.bytes.clone(), at: DELTA_HEADER_BYTES, lists_tables: self.is_spilled() }
    }

    /// As [`DeltaView::iter`], borrowing: nothing is counted up or down, for passes that only look.
    #[must_use]
    pub fn slices(&self) -> WriteSlices<'_> {
        WriteSlices { bytes: &self.bytes, at: DELTA_HEADER_BYTES, lists_tables: self.is_spilled() }
    }
}

impl IntoIterator for &DeltaView {
    type Item = (Bytes, Op);
    type IntoIter = Writes;

    fn into_iter(self) -> Writes {
        self.iter()
    }
}

/// Length of the delta that starts these bytes, not yet verified but not past their end.
pub(crate) fn framed_bytes(bytes: &[u8]) -> FormatResult<usize> {
    let short = |needed: u64| FormatError::Truncated { needed, have: bytes.len() as u64 };
    let length = u32_at(bytes, LENGTH_AT).ok_or_else(|| short(DELTA_HEADER_BYTES as u64))?;
    let framed = usize::try_from(length).unwrap_or(usize::MAX);
    if framed < DELTA_HEADER_BYTES {
        return Err(FormatError::Malformed("a delta shorter than its header"));
    }
    if framed > bytes.len() {
        return Err(short(u64::from(length)));
    }
    Ok(framed)
}

/// The flags of the delta that starts these bytes.
pub(crate) fn flags_of(bytes: &[u8]) -> DeltaFlags {
    DeltaFlags(bytes.get(FLAGS_AT).copied().unwrap_or(0))
}

/// Checksum, version, flags and every write's framing of bytes that are exactly one delta long.
pub(crate) fn verify(bytes: &[u8]) -> FormatResult<()> {
    let header = bytes.first_chunk::<DELTA_HEADER_BYTES>();
    let header = header.ok_or(FormatError::Malformed("a delta shorter than its header"))?;
    if u32_at(bytes, 0) != Some(crc32c::crc32c(&bytes[LENGTH_AT..])) {
        return Err(FormatError::Checksum);
    }
    if header[VERSION_AT] > VERSION {
        let (found, supported) = (u16::from(header[VERSION_AT]), u16::from(VERSION));
        return Err(FormatError::NewerVersion { found, supported });
    }
    if header[VERSION_AT] != VERSION || header[FLAGS_AT] & !DeltaFlags::KNOWN != 0 {
        return Err(FormatError::Malformed("version or flags of a delta"));
    }
    let mut at = DELTA_HEADER_BYTES;
    for _ in 0..u32_at(bytes, COUNT_AT).unwrap_or(0) {
        let spans = Spans::read(bytes, at);
        at = spans.ok_or(FormatError::Malformed("a write of a delta reaches past its end"))?.end;
    }
    if at != bytes.len() {
        return Err(FormatError::Malformed("bytes follow the last write of a delta"));
    }
    if header[FLAGS_AT] & DeltaFlags::SPILLED.0 == 0 {
        return Ok(());
    }
    Spilled { bytes, at: DELTA_HEADER_BYTES }.try_for_each(|table| table.map(drop))
}

/// Where the parts of one write are.
struct Spans {
    key_at: usize,
    value_at: usize,
    end: usize,
    is_put: bool,
}

/// The tables that a delta lists.
struct Spilled<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Iterator for Spilled<'_> {
    type Item = FormatResult<SstMeta>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let spans = Spans::read(self.bytes, self.at)?;
            self.at = spans.end;
            if spans.is_table(self.bytes) {
                return Some(decode_table(
                    &self.bytes[spans.key_at..spans.value_at],
                    &self.bytes[spans.value_at..spans.end],
                ));
            }
        }
    }
}

fn decode_table(key: &[u8], value: &[u8]) -> FormatResult<SstMeta> {
    let table = SstMeta::decode(value).map_err(|_| FormatError::Malformed("a table that a delta lists"))?;
    table.validate()?;
    if table.commit_lsn != 0 || key[SPILLED_PREFIX.len()..] != table.sst_id().0.to_be_bytes() {
        return Err(FormatError::Malformed("a table that a delta lists under another's name or with an LSN"));
    }
    Ok(table)
}

impl Spans {
    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let (key_bytes, at) = varint_at(bytes, at)?;
        let (tag, key_at) = varint_at(bytes, at)?;
        let value_at = key_at.checked_add(usize::try_from(key_bytes).ok()?)?;
        let end = value_at.checked_add(usize::try_from(tag.saturating_sub(1)).ok()?)?;
        (end <= bytes.len()).then_some(Self { key_at, value_at, end, is_put: tag != 0 })
    }

    /// Whether this is a listed table and no row; only in a delta with the flag.
    fn is_table(&self, bytes: &[u8]) -> bool {
        bytes[self.key_at..self.value_at].starts_with(&SPILLED_PREFIX)
    }
}

/// The next write that is a row's.
fn next_row(bytes: &[u8], at: &mut usize, lists_tables: bool) -> Option<Spans> {
    loop {
        let spans = Spans::read(bytes, *at)?;
        *at = spans.end;
        if !lists_tables || !spans.is_table(bytes) {
            return Some(spans);
        }
    }
}

/// The writes of a delta; see [`DeltaView::iter`].
#[derive(Debug)]
pub struct Writes {
    bytes: Bytes,
    at: usize,
    lists_tables: bool,
}

impl Iterator for Writes {
    type Item = (Bytes, Op);

    fn next(&mut self) -> Option<(Bytes, Op)> {
        let spans = next_row(&self.bytes, &mut self.at, self.lists_tables)?;
        let key = self.bytes.slice(spans.key_at..spans.value_at);
        let op = match spans.is_put {
            true => Op::Put(self.bytes.slice(spans.value_at..spans.end)),
            false => Op::Delete,
        };
        Some((key, op))
    }
}

/// The writes of a delta as slices, `None` for a deletion; see [`DeltaView::slices`].
#[derive(Debug)]
pub struct WriteSlices<'a> {
    bytes: &'a [u8],
    at: usize,
    lists_tables: bool,
}

impl<'a> Iterator for WriteSlices<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let spans = next_row(self.bytes, &mut self.at, self.lists_tables)?;
        let key = &self.bytes[spans.key_at..spans.value_at];
        let value = spans.is_put.then(|| &self.bytes[spans.value_at..spans.end]);
        Some((key, value))
    }
}
