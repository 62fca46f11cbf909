//! Numbers as Java prints them, and decimals as Connect encodes them.

use std::io::Write as _;

/// Appends a double as `Double.toString` of JDK 19 and later does: the shortest digits that read back, plain for
/// 1e-3 <= |x| < 1e7, `d.dE±n` otherwise; `NaN`, `Infinity`, `-Infinity` bare.
pub fn double(value: f64, out: &mut Vec<u8>) {
    if !value.is_finite() {
        out.extend_from_slice(non_finite(value.is_nan(), value > 0.0));
        return;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let value = value.abs();
    let mut shortest = ryu::Buffer::new();
    let digits = Digits::parse(shortest.format_finite(value).as_bytes());
    let digits = if digits.len == 1 && value.is_subnormal() { Digits::two(value) } else { digits };
    digits.write(value == 0.0, out);
}

/// Appends a float as `Float.toString` does, by the rules of [`double`].
pub fn float(value: f32, out: &mut Vec<u8>) {
    if !value.is_finite() {
        out.extend_from_slice(non_finite(value.is_nan(), value > 0.0));
        return;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let value = value.abs();
    let mut shortest = ryu::Buffer::new();
    let digits = Digits::parse(shortest.format_finite(value).as_bytes());
    let digits = if digits.len == 1 && value.is_subnormal() { Digits::two(f64::from(value)) } else { digits };
    digits.write(value == 0.0, out);
}

fn non_finite(nan: bool, positive: bool) -> &'static [u8] {
    match (nan, positive) {
        (true, _) => b"NaN",
        (_, true) => b"Infinity",
        _ => b"-Infinity",
    }
}

/// Significant digits `d1 d2 ..` of a positive number `0.d1d2.. * 10^exponent`, without leading or trailing zeros.
struct Digits {
    bytes: [u8; 24],
    len: usize,
    exponent: i32,
}

impl Digits {
    /// Reads `123.45`, `1e21` or `1.5e-7`.
    fn parse(text: &[u8]) -> Self {
        let mut digits = Digits { bytes: [b'0'; 24], len: 0, exponent: 0 };
        let (mut point_seen, mut integer, mut exponent, mut negative) = (false, 0, 0i32, false);
        let mut in_exponent = false;
        for byte in text {
            match byte {
                b'.' => point_seen = true,
                b'e' | b'E' => in_exponent = true,
                b'-' => negative = true,
                b'0'..=b'9' if in_exponent => exponent = exponent * 10 + i32::from(byte - b'0'),
                b'0'..=b'9' => {
                    if digits.len == 0 && *byte == b'0' {
                        // Leading zeros move the point only.
                        if point_seen {
                            integer -= 1;
                        }
                        continue;
                    }
                    if !point_seen {
                        integer += 1;
                    }
                    if let Some(slot) = digits.bytes.get_mut(digits.len) {
                        *slot = *byte;
                        digits.len += 1;
                    }
                }
                _ => {}
            }
        }
        digits.exponent = integer + if negative { -exponent } else { exponent };
        while digits.len > 0 && digits.bytes.get(digits.len - 1) == Some(&b'0') {
            digits.len -= 1;
        }
        digits
    }

    /// The two digits nearest to `value`: where one digit would read back (only the smallest subnormals leave a
    /// choice), the JDK takes the nearest number of two, `4.9E-324`.
    fn two(value: f64) -> Self {
        let mut buffer = [0u8; 32];
        let mut rest: &mut [u8] = &mut buffer;
        let written = write!(rest, "{value:.1e}").map(|()| 32 - rest.len()).unwrap_or(0);
        Self::parse(buffer.get(..written).unwrap_or(&[]))
    }

    fn write(&self, zero: bool, out: &mut Vec<u8>) {
        if zero {
            out.extend_from_slice(b"0.0");
            return;
        }
        let digits = self.bytes.get(..self.len).unwrap_or(&[]);
        let scientific = self.exponent - 1;
        if !(-3..7).contains(&scientific) {
            let (first, rest) = digits.split_at_checked(1).unwrap_or((b"0", b""));
            out.extend_from_slice(first);
            out.push(b'.');
            out.extend_from_slice(if rest.is_empty() { b"0" } else { rest });
            out.push(b'E');
            out.extend_from_slice(itoa::Buffer::new().format(scientific).as_bytes());
        } else if self.exponent <= 0 {
            out.extend_from_slice(b"0.");
            for _ in self.exponent..0 {
                out.push(b'0');
            }
            out.extend_from_slice(digits);
        } else {
            let integer = usize::try_from(self.exponent).unwrap_or(0);
            let (whole, fraction) = digits.split_at_checked(integer).unwrap_or((digits, b""));
            out.extend_from_slice(whole);
            for _ in whole.len()..integer {
                out.push(b'0');
            }
            out.push(b'.');
            out.extend_from_slice(if fraction.is_empty() { b"0" } else { fraction });
        }
    }
}

/// The minimal big-endian two's complement of `value`, at the end of the array: its length.
pub fn twos_complement(value: i128) -> ([u8; 16], usize) {
    let bytes = value.to_be_bytes();
    (bytes, minimal(&bytes).len())
}

/// `bytes`, a big-endian two's complement number, without redundant sign bytes; at least one byte.
pub fn minimal(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [first, second, ..] = rest {
        let redundant = (*first == 0 && *second < 0x80) || (*first == 0xFF && *second >= 0x80);
        if !redundant {
            break;
        }
        rest = &rest[1..];
    }
    rest
}

/// Appends the minimal two's complement of a number given in decimal `digits` (ASCII, any count).
pub fn twos_complement_of_digits(negative: bool, digits: &[u8], limbs: &mut Vec<u64>, out: &mut Vec<u8>) {
    limbs.clear();
    for chunk in digits.chunks(18) {
        let mut carry = chunk.iter().fold(0u64, |n, digit| n * 10 + u64::from(digit.wrapping_sub(b'0') % 10));
        let factor = 10u128.pow(chunk.len() as u32);
        for limb in limbs.iter_mut() {
            let product = u128::from(*limb) * factor + u128::from(carry);
            *limb = product as u64;
            carry = (product >> 64) as u64;
        }
        if carry != 0 {
            limbs.push(carry);
        }
    }
    // One limb more for the sign.
    limbs.push(0);
    if negative {
        let mut carry = true;
        for limb in limbs.iter_mut() {
            let (sum, overflow) = (!*limb).overflowing_add(u64::from(carry));
            *limb = sum;
            carry = overflow;
        }
    }
    let start = out.len();
    for limb in limbs.iter().rev() {
        out.extend_from_slice(&limb.to_be_bytes());
    }
    let redundant = out.len() - start - minimal(out.get(start..).unwrap_or(&[])).len();
    out.drain(start..start + redundant);
}

/// Sign and decimal digits of a big-endian two's complement number.
pub fn digits_of(unscaled: &[u8]) -> (bool, String) {
    let negative = unscaled.first().is_some_and(|byte| *byte >= 0x80);
    if unscaled.len() <= 16 {
        let mut bytes = [if negative { 0xFF } else { 0 }; 16];
        for (slot, byte) in bytes.iter_mut().rev().zip(unscaled.iter().rev()) {
            *slot = *byte;
        }
        return (negative, i128::from_be_bytes(bytes).unsigned_abs().to_string());
    }
    let mut magnitude: Vec<u8> = unscaled.to_vec();
    if negative {
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            let (sum, overflow) = (!*byte).overflowing_add(u8::from(carry));
            *byte = sum;
            carry = overflow;
        }
    }
    let mut reversed = Vec::new();
    while magnitude.iter().any(|byte| *byte != 0) {
        let mut remainder = 0u32;
        for byte in magnitude.iter_mut() {
            let part = remainder << 8 | u32::from(*byte);
            *byte = (part / 10) as u8;
            remainder = part % 10;
        }
        reversed.push(b'0' + remainder as u8);
    }
    reversed.reverse();
    (negative, if reversed.is_empty() { "0".into() } else { String::from_utf8_lossy(&reversed).into_owned() })
}

/// Appends `BigDecimal.toPlainString` of `digits * 10^-scale`, scale not negative.
pub fn plain_decimal(negative: bool, digits: &[u8], scale: usize, out: &mut Vec<u8>) {
    let digits = trim_zeros(digits);
    if negative && digits != b"0" {
        out.push(b'-');
    }
    match digits.len().checked_sub(scale) {
        Some(integer) if integer > 0 => {
            let (whole, fraction) = digits.split_at_checked(integer).unwrap_or((digits, b""));
            out.extend_from_slice(whole);
            if !fraction.is_empty() {
                out.push(b'.');
                out.extend_from_slice(fraction);
            }
        }
        _ => {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + (scale - digits.len()), b'0');
            out.extend_from_slice(digits);
        }
    }
}

/// Appends `BigDecimal.toString` of `digits * 10^-scale`: plain unless the scale is negative or the number below 1e-6.
pub fn decimal(negative: bool, digits: &[u8], scale: i64, out: &mut Vec<u8>) {
    let digits = trim_zeros(digits);
    let adjusted = digits.len() as i64 - 1 - scale;
    if let (Ok(plain), true) = (usize::try_from(scale), adjusted >= -6) {
        plain_decimal(negative, digits, plain, out);
        return;
    }
    if negative && digits != b"0" {
        out.push(b'-');
    }
    let (first, rest) = digits.split_at_checked(1).unwrap_or((b"0", b""));
    out.extend_from_slice(first);
    if !rest.is_empty() {
        out.push(b'.');
        out.extend_from_slice(rest);
    }
    if adjusted != 0 {
        out.push(b'E');
        if adjusted > 0 {
            out.push(b'+');
        }
        out.extend_from_slice(itoa::Buffer::new().format(adjusted).as_bytes());
    }
}

/// `digits` without leading zeros, at least `0`.
pub fn trim_zeros(digits: &[u8]) -> &[u8] {
    match digits.iter().position(|digit| *digit != b'0') {
        Some(at) => digits.get(at..).unwrap_or(b"0"),
        None => b"0",
    }
}
