//! SHA256-crypt: the slow digest that `caching_sha2_password` stores.
//!
//! The algorithm is Ulrich Drepper's "Unix crypt using SHA-256 and SHA-512" with a salt of 20 bytes
//! instead of at most 16, as MySQL uses it; only the digest's text is made here, not its prefix.

use sha2::{Digest, Sha256};

/// Characters of the digest.
pub(crate) const DIGEST_TEXT_BYTES: usize = 43;
const DIGEST_BYTES: usize = 32;
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The 43 characters for a password, salt and number of rounds.
pub(crate) fn digest_text(password: &[u8], salt: &[u8], rounds: u32) -> [u8; DIGEST_TEXT_BYTES] {
    let mut digest = first_digest(password, salt);
    let repeated_password = sequence(&repeat_digest(password, password.len()), password.len());
    let salt_repeats = 16 + usize::from(digest[0]);
    let repeated_salt = sequence(&repeat_digest(salt, salt_repeats), salt.len());
    for round in 0..rounds {
        let mut hash = Sha256::new();
        let odd = round % 2 == 1;
        hash.update(if odd { &repeated_password[..] } else { &digest[..] });
        if round % 3 != 0 {
            hash.update(&repeated_salt);
        }
        if round % 7 != 0 {
            hash.update(&repeated_password);
        }
        hash.update(if odd { &digest[..] } else { &repeated_password[..] });
        digest = hash.finalize().into();
    }
    to_text(&digest)
}

/// Digest A of the description.
fn first_digest(password: &[u8], salt: &[u8]) -> [u8; DIGEST_BYTES] {
    let inner: [u8; DIGEST_BYTES] =
        Sha256::new().chain_update(password).chain_update(salt).chain_update(password).finalize().into();
    let mut hash = Sha256::new();
    hash.update(password);
    hash.update(salt);
    hash.update(sequence(&inner, password.len()));
    let mut bits = password.len();
    while bits > 0 {
        hash.update(if bits & 1 == 1 { &inner[..] } else { password });
        bits >>= 1;
    }
    hash.finalize().into()
}

/// Digest of `text` taken `times` times.
fn repeat_digest(text: &[u8], times: usize) -> [u8; DIGEST_BYTES] {
    let mut hash = Sha256::new();
    for _ in 0..times {
        hash.update(text);
    }
    hash.finalize().into()
}

/// `length` bytes of the endlessly repeated digest.
fn sequence(digest: &[u8; DIGEST_BYTES], length: usize) -> Vec<u8> {
    digest.iter().copied().cycle().take(length).collect()
}

/// Base 64 in crypt's order of bytes: three indices that each advance by one and change places.
fn to_text(digest: &[u8; DIGEST_BYTES]) -> [u8; DIGEST_TEXT_BYTES] {
    let mut text = [0; DIGEST_TEXT_BYTES];
    let mut out = text.iter_mut();
    let (mut a, mut b, mut c) = (0, 10, 20);
    for _ in 0..10 {
        put_group(&mut out, [digest[a], digest[b], digest[c]], 4);
        (a, b, c) = (c + 1, a + 1, b + 1);
    }
    put_group(&mut out, [0, digest[31], digest[30]], 3);
    text
}

fn put_group<'a>(out: &mut impl Iterator<Item = &'a mut u8>, bytes: [u8; 3], characters: usize) {
    let mut bits = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
    for slot in out.take(characters) {
        *slot = ALPHABET[usize::try_from(bits & 0x3f).unwrap_or(0)];
        bits >>= 6;
    }
}

#[cfg(test)]
#[path = "sha256_crypt_test.rs"]
mod sha256_crypt_test;
