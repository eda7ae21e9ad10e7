//! How far the plaintext of a PrivateMessage is padded (RFC 9420 §6.3.1, §15.1).

use core::num::NonZeroU32;

/// Hides the length of what is encrypted. The receiver needs to know nothing of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// No padding: the ciphertext shows the length of the content to the byte.
    None,
    /// Up to a multiple of so many bytes.
    ToMultiple(NonZeroU32),
    /// Up to a power of two: shows least and can double a message.
    ToPowerOfTwo,
    /// Up to a step that grows with the length: 32 bytes below 1 KiB, then 1/16 to 1/32 of the
    /// length, from 64 KiB on 1/32 to 1/64. Shows O(log log n) bits of a length n. Overhead: at most
    /// 31 bytes up to 512, below 6.3 % up to 64 KiB, below 3.2 % above. The default.
    #[default]
    Proportional,
}

/// Smallest step of [`Padding::Proportional`], in bytes.
const SMALLEST_STEP: usize = 32;

impl Padding {
    /// The length after padding, never below `length`.
    pub fn padded_len(self, length: usize) -> usize {
        let padded = match self {
            Self::None => Some(length),
            Self::ToMultiple(step) => {
                usize::try_from(step.get()).ok().and_then(|step| length.checked_next_multiple_of(step))
            }
            Self::ToPowerOfTwo => length.checked_next_power_of_two(),
            Self::Proportional => length.checked_next_multiple_of(proportional_step(length)),
        };
        padded.unwrap_or(length)
    }
}

/// With the exponent E of the length and the S bits that E takes, the lowest E − S bits are rounded
/// up: a floating-point number whose mantissa is as long as its exponent.
fn proportional_step(length: usize) -> usize {
    let exponent = length.max(1).ilog2();
    let kept = exponent.max(1).ilog2() + 1;
    1_usize.checked_shl(exponent.saturating_sub(kept)).unwrap_or(1).max(SMALLEST_STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_costs_what_its_page_says() {
        for length in (0..100_000).chain([1 << 20, (1 << 20) + 1, (1 << 30) + 1]) {
            let added = Padding::default().padded_len(length) - length;
            let bound = match length {
                0..=512 => 31.0,
                513..=65_535 => 0.063 * length as f64,
                _ => 0.032 * length as f64,
            };
            assert!(added as f64 <= bound, "{added} bytes on {length}");
        }
    }

    #[test]
    fn padding_is_monotonic_and_idempotent() {
        let step = NonZeroU32::new(100).unwrap();
        for padding in [Padding::None, Padding::ToMultiple(step), Padding::ToPowerOfTwo, Padding::Proportional] {
            let lengths: alloc::vec::Vec<_> = (1..5_000).map(|length| padding.padded_len(length)).collect();
            assert!(lengths.is_sorted());
            assert!(lengths.iter().all(|length| padding.padded_len(*length) == *length));
        }
    }

    #[test]
    fn short_messages_share_few_lengths() {
        let lengths: alloc::collections::BTreeSet<_> =
            (0..1_024).map(|length| Padding::default().padded_len(length)).collect();
        assert_eq!(lengths.len(), 33);
        assert_eq!(Padding::default().padded_len(usize::MAX), usize::MAX);
    }
}
