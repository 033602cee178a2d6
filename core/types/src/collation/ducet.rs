//! Collation elements of the Unicode Collation Algorithm with the DUCET of version 9.0.0 (UTS #10). The
//! table is made by `gen/ducet.py`, which describes its form.
//!
//! Contractions are matched only where their characters are adjacent, as MySQL does.

use std::sync::LazyLock;

use super::Charset;
use super::compact::Compact;

static DATA: &[u8] = include_bytes!("ducet_9_0_0.bin");
const IMPLICIT: u16 = 0xFFFF;
const BLOCKS: usize = 4352;

/// Weights of one collation element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) primary: u16,
    pub(super) secondary: u8,
    pub(super) tertiary: u8,
}

struct Contraction {
    points: [u32; 3],
    id: u16,
}

pub(super) struct Ducet {
    page_of: Vec<u16>,
    pages: Vec<u16>,
    /// Single elements, then the pool of sequences.
    elements: Vec<Element>,
    singles: usize,
    sequences: Vec<u32>,
    contractions: Vec<Contraction>,
    /// Primary weights of ASCII; 0 is ignorable.
    pub(super) ascii: [u16; 128],
    pub(super) compact: Compact,
}

pub(super) static DUCET: LazyLock<Ducet> = LazyLock::new(|| Ducet::load(DATA));

/// Reads little-endian numbers from the embedded table, which is as long as it says.
struct Reader(&'static [u8]);

impl Reader {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let (head, tail) = self.0.split_first_chunk::<N>().unwrap_or((&[0; N], &[]));
        self.0 = tail;
        *head
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    fn count(&mut self) -> usize {
        usize::try_from(self.u32()).unwrap_or(0)
    }

    fn element(&mut self) -> Element {
        let [low, high, secondary, tertiary] = self.bytes();
        Element { primary: u16::from_le_bytes([low, high]), secondary, tertiary }
    }
}

impl Ducet {
    fn load(data: &'static [u8]) -> Self {
        let mut r = Reader(data);
        let (pages, singles, multis) = (r.count(), r.count(), r.count());
        let (pool, contractions) = (r.count(), r.count());
        let mut table = Self {
            page_of: (0..BLOCKS).map(|_| r.u16()).collect(),
            pages: (0..pages * 256).map(|_| r.u16()).collect(),
            elements: (0..singles).map(|_| r.element()).collect(),
            singles,
            sequences: (0..multis).map(|_| r.u32()).collect(),
            contractions: Vec::new(),
            ascii: [0; 128],
            compact: Compact::new(&[0; 128]),
        };
        table.elements.extend((0..pool).map(|_| r.element()));
        table.contractions = (0..contractions)
            .map(|_| Contraction {
                points: [r.u32(), r.u32(), r.u32()],
                id: u16::try_from(r.u32()).unwrap_or(0),
            })
            .collect();
        for code in 0..128_u8 {
            let first = table.sequence(u32::from(code)).and_then(|s| s.first());
            table.ascii[usize::from(code)] = first.map_or(0, |e| e.primary);
        }
        table.compact = Compact::new(&table.ascii);
        table
    }

    fn by_id(&self, id: u16) -> &[Element] {
        let id = usize::from(id);
        if id < self.singles {
            return &self.elements[id..=id];
        }
        let Some(reference) = self.sequences.get(id - self.singles) else {
            return &[];
        };
        let start = self.singles + usize::try_from(reference >> 8).unwrap_or(0);
        self.elements.get(start..start + usize::try_from(reference & 255).unwrap_or(0)).unwrap_or(&[])
    }

    /// The elements of a code point that the table lists.
    fn sequence(&self, code: u32) -> Option<&[Element]> {
        let block = usize::try_from(code >> 8).ok()?;
        let page = usize::from(*self.page_of.get(block)?).checked_sub(1)?;
        let id = self.pages[page * 256 + usize::try_from(code & 255).ok()?];
        (id != IMPLICIT).then(|| self.by_id(id))
    }

    /// The longest contraction that `code` and what follows it make, and its bytes after `code`.
    fn contraction(&self, code: u32, rest: &[u8]) -> Option<(&[Element], usize)> {
        let from = self.contractions.partition_point(|c| c.points[0] < code);
        if self.contractions.get(from)?.points[0] != code {
            return None;
        }
        let (second, second_len) = Charset::Utf8mb4.decode(rest);
        let (third, third_len) = Charset::Utf8mb4.decode(rest.get(second_len..).unwrap_or(&[]));
        let find = |points: [u32; 3]| {
            let at = self.contractions.binary_search_by(|c| c.points.cmp(&points)).ok()?;
            Some(self.by_id(self.contractions[at].id))
        };
        if second_len == 0 {
            return None;
        }
        find([code, second, third])
            .filter(|_| third_len > 0)
            .map(|e| (e, second_len + third_len))
            .or_else(|| find([code, second, 0]).map(|e| (e, second_len)))
    }
}

/// The two elements of a code point that the table does not list (UTS #10, section 10.1.3).
fn implicit(code: u32) -> [Element; 2] {
    let han = matches!(code, 0x4E00..=0x9FD5 | 0xFA0E | 0xFA0F | 0xFA11 | 0xFA13 | 0xFA14 | 0xFA1F | 0xFA21
        | 0xFA23 | 0xFA24 | 0xFA27..=0xFA29);
    let extension = matches!(code, 0x3400..=0x4DB5 | 0x2_0000..=0x2_A6D6 | 0x2_A700..=0x2_B734
        | 0x2_B740..=0x2_B81D | 0x2_B820..=0x2_CEA1);
    let tangut = matches!(code, 0x1_7000..=0x1_8AFF);
    let (lead, trail) = if tangut {
        (0xFB00, code - 0x1_7000)
    } else {
        let base = if han {
            0xFB40
        } else if extension {
            0xFB80
        } else {
            0xFBC0
        };
        (base + (code >> 15), code & 0x7FFF)
    };
    let weight = |w: u32| u16::try_from(w).unwrap_or(u16::MAX);
    [
        Element { primary: weight(lead), secondary: 1, tertiary: 2 },
        Element { primary: weight(trail | 0x8000), secondary: 0, tertiary: 0 },
    ]
}

/// Runs through the collation elements of a text.
pub(super) struct Elements<'a> {
    ducet: &'static Ducet,
    rest: &'a [u8],
    listed: &'static [Element],
    /// Elements of an implicit code point or of a Hangul syllable's letters, in reverse.
    computed: [Element; 3],
    computed_len: usize,
}

impl<'a> Elements<'a> {
    pub(super) fn new(ducet: &'static Ducet, text: &'a [u8]) -> Self {
        Self { ducet, rest: text, listed: &[], computed: [Element::default(); 3], computed_len: 0 }
    }

    fn take(&mut self, code: u32, len: usize) {
        let ducet = self.ducet;
        self.rest = self.rest.get(len..).unwrap_or(&[]);
        let may_contract = code >= 0x80 || self.rest.first().is_some_and(|b| *b >= 0x80);
        let contracted = if may_contract { ducet.contraction(code, self.rest) } else { None };
        if let Some((elements, used)) = contracted {
            self.listed = elements;
            self.rest = self.rest.get(used..).unwrap_or(&[]);
            return;
        }
        if let Some(elements) = ducet.sequence(code) {
            self.listed = elements;
        } else if (0xAC00..0xD7A4).contains(&code) {
            self.take_hangul(code - 0xAC00);
        } else {
            let [first, second] = implicit(code);
            self.computed[0] = second;
            self.computed[1] = first;
            self.computed_len = 2;
        }
    }

    /// A Hangul syllable weighs what its two or three letters do.
    fn take_hangul(&mut self, index: u32) {
        let letters = [0x1100 + index / 588, 0x1161 + index % 588 / 28, 0x11A7 + index % 28];
        let count = if index.is_multiple_of(28) { 2 } else { 3 };
        self.computed_len = 0;
        for code in letters[..count].iter().rev() {
            let element = self.ducet.sequence(*code).and_then(|s| s.first()).copied();
            self.computed[self.computed_len] = element.unwrap_or_default();
            self.computed_len += 1;
        }
    }
}

impl Iterator for Elements<'_> {
    type Item = Element;

    fn next(&mut self) -> Option<Element> {
        loop {
            if let Some((first, rest)) = self.listed.split_first() {
                self.listed = rest;
                return Some(*first);
            }
            if self.computed_len > 0 {
                self.computed_len -= 1;
                return Some(self.computed[self.computed_len]);
            }
            let (code, len) = Charset::Utf8mb4.decode(self.rest);
            if len == 0 {
                return None;
            }
            self.take(code, len);
        }
    }
}
