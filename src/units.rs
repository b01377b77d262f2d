//! Numbers with units, for people.

use std::fmt;

/// A number of bytes, with a decimal prefix and three digits or more.
#[derive(Clone, Copy, Debug)]
pub struct DecimalBytes(pub u64);

impl fmt::Display for DecimalBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1000 {
            return write!(f, "{} B", self.0);
        }
        let mut scaled = self.0 as f64;
        let prefixes = "kMGTPE".chars();
        let scaled = prefixes.map(|prefix| {
            scaled /= 1000.0;
            (scaled, prefix)
        });
        // 999,995 B and more would be rounded to 1000.00 kB.
        let mut scaled = scaled.filter(|(scaled, _)| *scaled < 999.995);
        let (scaled, prefix) = scaled.next().unwrap_or((0.0, 'E'));
        write!(f, "{scaled:.2} {prefix}B")
    }
}

/// A number of things, which the noun names in the singular.
#[derive(Clone, Copy, Debug)]
pub struct Count<N>(pub N, pub &'static str);

impl<N: fmt::Display + PartialEq + From<u8>> fmt::Display for Count<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, noun) = self;
        let ending = if *number == N::from(1) {
            ""
        } else if noun.ends_with("ch") {
            "es"
        } else {
            "s"
        };
        write!(f, "{number} {noun}{ending}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, DecimalBytes};

    #[test]
    fn count_is_in_the_singular_for_one_only() {
        for (number, noun, shown) in [
            (0, "record", "0 records"),
            (1, "record", "1 record"),
            (1, "fetch", "1 fetch"),
            (2, "fetch", "2 fetches"),
        ] {
            assert_eq!(Count(number, noun).to_string(), shown);
        }
    }

    #[test]
    fn decimal_bytes_at_each_prefix_have_three_digits() {
        for (bytes, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (999_994, "999.99 kB"),
            (999_995, "1.00 MB"),
            (u64::MAX, "18.45 EB"),
        ] {
            assert_eq!(DecimalBytes(bytes).to_string(), shown);
        }
    }
}
