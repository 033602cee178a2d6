//! Weights of 16 bits in as few bytes as their order allows (ADR 0153): one for those of ASCII characters, two for
//! those above them, three for the few in between. The form is in `core/docs/formats/key.md`.

/// First high byte of the weights that come in pairs: the second of a pair is written as it is.
const PAIRED: u8 = 0xFB;
/// Before a weight that has no shorter form, below the paired ones.
const ESCAPE: u8 = 0xFA;

/// How the weights of one table are written. With n weights of ASCII characters, first bytes are: 2, 4, … 2n for those;
/// odd ones up to 2n - 1 for weights below and between them; 2n + 1 and on for the high bytes of greater weights.
pub(super) struct Compact {
    /// The weights of ASCII characters, ascending.
    common: Vec<u16>,
    /// What each ASCII character is written as; 0: nothing.
    pub(super) ascii: [u8; 128],
}

/// Writes the weights of one text.
pub(super) struct Writer<'c> {
    code: &'c Compact,
    is_second: bool,
}

impl Compact {
    /// For a table with these weights of ASCII characters; 0 is ignorable.
    pub(super) fn new(weights: &[u16; 128]) -> Self {
        let mut common: Vec<u16> = weights.iter().copied().filter(|weight| *weight != 0).collect();
        common.sort_unstable();
        common.dedup();
        let mut code = Self { common, ascii: [0; 128] };
        code.ascii = weights.map(|weight| if weight == 0 { 0 } else { code.form(weight).0 });
        code
    }

    pub(super) fn writer(&self) -> Writer<'_> {
        Writer { code: self, is_second: false }
    }

    /// The first byte of a weight's form, and how many bytes of the weight follow it.
    fn form(&self, weight: u16) -> (u8, usize) {
        let [high, _] = weight.to_be_bytes();
        let byte = |lead: usize| u8::try_from(lead).unwrap_or(ESCAPE);
        match self.common.binary_search(&weight) {
            Ok(rank) => (byte(2 * rank + 2), 0),
            Err(rank) if rank < self.common.len() => (byte(2 * rank + 1), 2),
            Err(_) if high >= PAIRED => (high, 1),
            Err(count) => {
                let least = self.common.last().map_or(0, |last| last.to_be_bytes()[0]);
                let lead = 2 * count + 1 + usize::from(high - least);
                if lead < usize::from(ESCAPE) { (byte(lead), 1) } else { (ESCAPE, 2) }
            }
        }
    }
}

impl Writer<'_> {
    /// Appends a weight that is not 0.
    pub(super) fn put(&mut self, weight: u16, out: &mut Vec<u8>) {
        let bytes = weight.to_be_bytes();
        if std::mem::take(&mut self.is_second) {
            out.extend_from_slice(&bytes);
            return;
        }
        let (lead, rest) = self.code.form(weight);
        self.is_second = lead >= PAIRED;
        out.push(lead);
        out.extend_from_slice(&bytes[2 - rest..]);
    }
}
