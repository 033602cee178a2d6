//! Encryption and compression (manual 12.14): AES_ENCRYPT, AES_DECRYPT, RANDOM_BYTES, COMPRESS and its kin.

use std::io::Read;

use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use aquifer_types::{Collation, SqlError, SqlResult, Value};
use flate2::Compression;
use flate2::read::{ZlibDecoder, ZlibEncoder};

use super::context::{BindContext, EvalContext};
use super::function::{FunctionDef, def, int, text, text_value};
use super::infer::{int_type, number, string_of, text_length, typed};
use super::ir::{Call, Coercibility, Expr, ExprType};

pub(crate) const FUNCTIONS: &[FunctionDef] = &[
    // Text, key, vector, and the block_encryption_mode of the session, which the binder adds.
    def("aes_encrypt", 2, 4, infer_bytes, |c, r, x| aes(c, r, x, Way::Encrypt)),
    def("aes_decrypt", 2, 4, infer_bytes, |c, r, x| aes(c, r, x, Way::Decrypt)),
    def("random_bytes", 1, 1, infer_bytes, eval_random_bytes).volatile(),
    def("compress", 1, 1, infer_bytes, eval_compress),
    def("uncompress", 1, 1, infer_long_bytes, eval_uncompress),
    def("uncompressed_length", 1, 1, |_, _| Ok(number(int_type(10), true)), eval_uncompressed_length),
];

const BLOCK: usize = 16;

fn infer_bytes(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    let length = text_length(args[0].data_type()).saturating_mul(4).saturating_add(120);
    Ok(typed(string_of(length, Collation::BINARY), true, Coercibility::IMPLICIT))
}

fn infer_long_bytes(_args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(typed(string_of(u32::MAX, Collation::BINARY), true, Coercibility::IMPLICIT))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Encrypt,
    Decrypt,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chaining {
    Ecb,
    Cbc,
    Cfb8,
    Cfb128,
    Ofb,
}

/// A cipher of one of the three key lengths.
enum Cipher {
    Aes128(Box<Aes128>),
    Aes192(Box<Aes192>),
    Aes256(Box<Aes256>),
}

impl Cipher {
    /// The key is folded into the length of the cipher's, as MySQL does.
    fn new(bits: u32, key: &[u8]) -> Self {
        let mut folded = [0_u8; 32];
        let length = match bits {
            192 => 24,
            256 => 32,
            _ => 16,
        };
        for (number, byte) in key.iter().enumerate() {
            folded[number % length] ^= byte;
        }
        match bits {
            192 => Self::Aes192(Box::new(Aes192::new(GenericArray::from_slice(&folded[..24])))),
            256 => Self::Aes256(Box::new(Aes256::new(GenericArray::from_slice(&folded)))),
            _ => Self::Aes128(Box::new(Aes128::new(GenericArray::from_slice(&folded[..16])))),
        }
    }

    fn encrypt(&self, block: [u8; BLOCK]) -> [u8; BLOCK] {
        let mut block = GenericArray::from(block);
        match self {
            Self::Aes128(c) => c.encrypt_block(&mut block),
            Self::Aes192(c) => c.encrypt_block(&mut block),
            Self::Aes256(c) => c.encrypt_block(&mut block),
        }
        block.into()
    }

    fn decrypt(&self, block: [u8; BLOCK]) -> [u8; BLOCK] {
        let mut block = GenericArray::from(block);
        match self {
            Self::Aes128(c) => c.decrypt_block(&mut block),
            Self::Aes192(c) => c.decrypt_block(&mut block),
            Self::Aes256(c) => c.decrypt_block(&mut block),
        }
        block.into()
    }
}

fn xor(a: [u8; BLOCK], b: [u8; BLOCK]) -> [u8; BLOCK] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

fn parse_mode(mode: &str) -> SqlResult<(u32, Chaining)> {
    let lower = mode.to_ascii_lowercase();
    let mut parts = lower.split('-').skip(1);
    let bits = parts.next().and_then(|bits| bits.parse().ok()).unwrap_or(128);
    let chaining = match parts.next().unwrap_or("ecb") {
        "ecb" => Chaining::Ecb,
        "cbc" => Chaining::Cbc,
        "cfb8" => Chaining::Cfb8,
        "cfb128" => Chaining::Cfb128,
        "ofb" => Chaining::Ofb,
        other => return Err(SqlError::not_supported(&format!("block_encryption_mode {other}"))),
    };
    Ok((bits, chaining))
}

fn aes(call: &Call, row: &[Value], ctx: &mut EvalContext, way: Way) -> SqlResult<Value> {
    let name = if way == Way::Encrypt { "aes_encrypt" } else { "aes_decrypt" };
    let mode = text(call, 3, row, ctx)?;
    let mode = mode.map_or_else(|| "aes-128-ecb".to_owned(), |m| String::from_utf8_lossy(&m).into_owned());
    let (bits, chaining) = parse_mode(&mode)?;
    let (Some(t), Some(key)) = (text(call, 0, row, ctx)?, text(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    let mut vector = [0; BLOCK];
    if chaining != Chaining::Ecb {
        let Some(given) = text(call, 2, row, ctx)? else {
            let text = format!("Incorrect parameter count in the call to native function '{name}'");
            return Err(SqlError::new(1582, text));
        };
        let Some(start) = given.get(..BLOCK) else {
            let text = format!(
                "The initialization vector supplied to {name} is too short. Must be at least {BLOCK} bytes long"
            );
            return Err(SqlError::new(1882, text));
        };
        vector.copy_from_slice(start);
    }
    let cipher = Cipher::new(bits, &key);
    let result = match (chaining, way) {
        (Chaining::Ecb | Chaining::Cbc, Way::Encrypt) => Some(encrypt_blocks(&cipher, chaining, vector, &t)),
        (Chaining::Ecb | Chaining::Cbc, Way::Decrypt) => decrypt_blocks(&cipher, chaining, vector, &t),
        _ => Some(stream(&cipher, chaining, vector, &t, way)),
    };
    Ok(result.map_or(Value::Null, text_value))
}

fn encrypt_blocks(cipher: &Cipher, chaining: Chaining, vector: [u8; BLOCK], text: &[u8]) -> Vec<u8> {
    let mut padded = text.to_vec();
    let padding = BLOCK - text.len() % BLOCK;
    padded.resize(text.len() + padding, u8::try_from(padding).unwrap_or(0));
    let mut before = vector;
    let mut out = Vec::with_capacity(padded.len());
    for chunk in padded.chunks_exact(BLOCK) {
        let mut block = [0; BLOCK];
        block.copy_from_slice(chunk);
        if chaining == Chaining::Cbc {
            block = xor(block, before);
        }
        before = cipher.encrypt(block);
        out.extend_from_slice(&before);
    }
    out
}

/// `None` for what was not encrypted so.
fn decrypt_blocks(cipher: &Cipher, chaining: Chaining, vector: [u8; BLOCK], text: &[u8]) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(BLOCK) {
        return None;
    }
    let mut before = vector;
    let mut out = Vec::with_capacity(text.len());
    for chunk in text.chunks_exact(BLOCK) {
        let mut block = [0; BLOCK];
        block.copy_from_slice(chunk);
        let mut plain = cipher.decrypt(block);
        if chaining == Chaining::Cbc {
            plain = xor(plain, before);
        }
        before = block;
        out.extend_from_slice(&plain);
    }
    let padding = usize::from(*out.last()?);
    let rest = out.len().checked_sub(padding).filter(|_| (1..=BLOCK).contains(&padding))?;
    if out[rest..].iter().any(|b| usize::from(*b) != padding) {
        return None;
    }
    out.truncate(rest);
    Some(out)
}

/// Modes that make a stream of bytes: nothing is padded.
fn stream(cipher: &Cipher, chaining: Chaining, vector: [u8; BLOCK], text: &[u8], way: Way) -> Vec<u8> {
    let mut register = vector;
    let mut out = Vec::with_capacity(text.len());
    let step = if chaining == Chaining::Cfb8 { 1 } else { BLOCK };
    for chunk in text.chunks(step) {
        let key = cipher.encrypt(register);
        let result: Vec<u8> = chunk.iter().zip(key).map(|(a, b)| a ^ b).collect();
        let cipher_text = if way == Way::Encrypt { &result[..] } else { chunk };
        match chaining {
            Chaining::Ofb => register = key,
            Chaining::Cfb8 => {
                register.rotate_left(1);
                register[BLOCK - 1] = cipher_text[0];
            }
            _ if cipher_text.len() == BLOCK => register.copy_from_slice(cipher_text),
            _ => {}
        }
        out.extend_from_slice(&result);
    }
    out
}

fn eval_random_bytes(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(length) = int(call, 0, row, ctx)? else { return Ok(Value::Null) };
    let Some(length) = usize::try_from(length).ok().filter(|n| (1..=1024).contains(n)) else {
        return Err(SqlError::new(1690, "length value is out of range in 'random_bytes'"));
    };
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        out.extend_from_slice(&ctx.environment.random().to_le_bytes());
    }
    out.truncate(length);
    Ok(text_value(out))
}

/// Four bytes of length, then zlib; a space at the end is guarded by a point.
fn eval_compress(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(t) = text(call, 0, row, ctx)? else { return Ok(Value::Null) };
    if t.is_empty() {
        return Ok(text_value(t));
    }
    let length = u32::try_from(t.len()).unwrap_or(u32::MAX) & 0x3FFF_FFFF;
    let mut out = length.to_le_bytes().to_vec();
    if ZlibEncoder::new(&t[..], Compression::default()).read_to_end(&mut out).is_err() {
        return ctx.null_with(1257, "ZLIB: Not enough memory");
    }
    if out.ends_with(b" ") {
        out.push(b'.');
    }
    Ok(text_value(out))
}

/// The length that a compressed text claims to have; `None` when it is too short for one.
fn claimed_length(text: &[u8]) -> Option<u64> {
    let bytes = text.get(..4).filter(|_| text.len() > 4)?;
    Some(u64::from(u32::from_le_bytes(bytes.try_into().ok()?) & 0x3FFF_FFFF))
}

fn eval_uncompress(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(t) = text(call, 0, row, ctx)? else { return Ok(Value::Null) };
    if t.is_empty() {
        return Ok(text_value(t));
    }
    let Some(length) = claimed_length(&t) else {
        return ctx.null_with(1259, "ZLIB: Input data corrupted");
    };
    if length > ctx.max_allowed_packet {
        let text = format!(
            "Uncompressed data size too large; the maximum size is {} (probably, length of uncompressed data was \
             corrupted)",
            ctx.max_allowed_packet
        );
        return ctx.null_with(1256, text);
    }
    let mut out = Vec::new();
    let read = ZlibDecoder::new(&t[4..]).take(length + 1).read_to_end(&mut out);
    if read.is_err() || out.len() as u64 > length {
        return ctx.null_with(1259, "ZLIB: Input data corrupted");
    }
    Ok(text_value(out))
}

fn eval_uncompressed_length(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(t) = text(call, 0, row, ctx)? else { return Ok(Value::Null) };
    if t.is_empty() {
        return Ok(Value::Int(0));
    }
    match claimed_length(&t) {
        Some(length) => Ok(Value::Int(i64::try_from(length).unwrap_or(0))),
        None => {
            ctx.warn(1259, "ZLIB: Input data corrupted");
            Ok(Value::Int(0))
        }
    }
}
