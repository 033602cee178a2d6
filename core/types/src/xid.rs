//! Names of global transactions (XA).

use bytes::{Buf, Bytes};

/// Length of each part of a name.
pub const XID_PART_BYTES_MAX: usize = 64;

/// A branch of a global transaction, as its manager names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Xid {
    /// How the manager makes names; 1 unless it says otherwise.
    pub format: u32,
    /// The global transaction.
    pub global: Bytes,
    /// The branch.
    pub branch: Bytes,
}

impl Xid {
    /// A name; `None` when a part is too long.
    #[must_use]
    pub fn new(format: u32, global: impl Into<Bytes>, branch: impl Into<Bytes>) -> Option<Self> {
        let (global, branch) = (global.into(), branch.into());
        let fits = |part: &Bytes| part.len() <= XID_PART_BYTES_MAX;
        (fits(&global) && fits(&branch)).then_some(Self { format, global, branch })
    }

    /// The name as bytes: format (big-endian), length of the global part (one byte), both parts.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.format.to_be_bytes().to_vec();
        bytes.push(u8::try_from(self.global.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(&self.global);
        bytes.extend_from_slice(&self.branch);
        bytes
    }

    /// The name that [`Xid::to_bytes`] made; `None` when it did not.
    #[must_use]
    pub fn from_bytes(mut bytes: Bytes) -> Option<Self> {
        if bytes.len() < 5 {
            return None;
        }
        let (format, length) = (bytes.get_u32(), usize::from(bytes.get_u8()));
        if length > bytes.len() {
            return None;
        }
        let global = bytes.split_to(length);
        Self::new(format, global, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::Xid;

    #[test]
    fn name_survives_its_bytes() {
        for (global, branch) in [("", ""), ("global", ""), ("", "branch"), ("g", "b")] {
            let xid = Xid::new(7, global.as_bytes().to_vec(), branch.as_bytes().to_vec());
            assert_eq!(xid.clone().and_then(|xid| Xid::from_bytes(xid.to_bytes().into())), xid);
        }
        assert_eq!(Xid::new(1, vec![0; 65], vec![]), None);
        assert_eq!(Xid::from_bytes(vec![0, 0, 0, 1, 9, 1].into()), None);
    }
}
