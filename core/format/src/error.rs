//! Why bytes could not be decoded or encoded.

use std::fmt;

use aquifer_types::ErrorKind;

/// What decoders and encoders return.
pub type FormatResult<T> = Result<T, FormatError>;

/// A failure to decode or to encode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// The bytes are another kind of object, or no object of Aquifer at all.
    BadMagic {
        /// The magic of the kind that was asked for.
        expected: [u8; 4],
        /// The first four bytes.
        found: [u8; 4],
    },
    /// The bytes are intact and were written by a newer release.
    NewerVersion {
        /// The version in the bytes.
        found: u16,
        /// The newest version that this build reads.
        supported: u16,
    },
    /// There are fewer bytes than their own header says.
    Truncated {
        /// How many there should be, as far as is known.
        needed: u64,
        /// How many there are.
        have: u64,
    },
    /// The checksum does not match the bytes.
    Checksum,
    /// The checksum matches and the content still breaks a rule of the format, which the text names.
    Malformed(&'static str),
    /// What was to be encoded is over a limit of the format.
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// Another of these, with the name of the object where it was found.
    In {
        /// Key or file name of the object.
        object: String,
        /// What is wrong with it; never an `In` itself.
        cause: Box<FormatError>,
    },
}

impl FormatError {
    /// The same error, naming the object. The innermost name stays.
    #[must_use]
    pub fn with_object(self, object: &str) -> Self {
        match self {
            named @ Self::In { .. } => named,
            cause => Self::In { object: object.to_owned(), cause: Box::new(cause) },
        }
    }

    /// The error without the name of its object.
    #[must_use]
    pub fn cause(&self) -> &Self {
        match self {
            Self::In { cause, .. } => cause,
            other => other,
        }
    }

    /// What a node does about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self.cause() {
            Self::NewerVersion { .. } | Self::TooLarge { .. } => ErrorKind::Invalid,
            _ => ErrorKind::Corrupt,
        }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadMagic { expected, found } => write!(
                f,
                "starts with \"{}\" where \"{}\" is expected",
                found.escape_ascii(),
                expected.escape_ascii()
            ),
            Self::NewerVersion { found, supported } => write!(
                f,
                "has format version {found}; this release reads up to {supported}: use a newer release"
            ),
            Self::Truncated { needed, have } => {
                write!(f, "is cut short: {have} bytes of at least {needed}")
            }
            Self::Checksum => f.write_str("is damaged: its checksum does not match"),
            Self::Malformed(rule) => write!(f, "is malformed: {rule}"),
            Self::TooLarge { what, bytes, bytes_max } => {
                write!(f, "{what} of {bytes} bytes is over the limit of {bytes_max}")
            }
            Self::In { object, cause } => write!(f, "{object}: {cause}"),
        }
    }
}

impl std::error::Error for FormatError {}
