//! DOUBLE as Java prints it where that has no exponent, and in full where it would have one.

use std::fmt::Write as _;

/// Appends a finite DOUBLE; `false` and nothing appended for infinities and NaN, which JSON cannot hold.
pub(super) fn push_double(out: &mut String, value: f64) -> bool {
    if !value.is_finite() {
        return false;
    }
    let magnitude = value.abs();
    if value == 0.0 || (0.001..1e7).contains(&magnitude) {
        out.push_str(ryu::Buffer::new().format_finite(value));
    } else {
        let digits = usize::from(fraction_digits(magnitude));
        // Writing to a String cannot fail, and with a precision Rust prints exact digits.
        let _ = write!(out, "{value:.digits$}");
    }
    true
}

/// Decimal digits after the point that the exact value needs: one per binary digit after the point.
fn fraction_digits(magnitude: f64) -> u16 {
    let bits = magnitude.to_bits();
    let exponent = u16::try_from(bits >> 52 & 0x7ff).unwrap_or(0);
    let fraction = bits & ((1 << 52) - 1);
    // value = mantissa * 2^(scale - 1075); a subnormal has the exponent of the smallest normal number.
    let (mantissa, scale) = if exponent == 0 { (fraction, 1) } else { (fraction | 1 << 52, exponent) };
    let trailing = u16::try_from(mantissa.trailing_zeros()).unwrap_or(0);
    1075u16.saturating_sub(scale.saturating_add(trailing))
}
