//! Texts that nobody vouches for.

use proptest::prelude::*;
use skopeo_index::text::{Escaped, MESSAGE_MAX, shortened, without_credentials};

proptest! {
    #![proptest_config(crate::regressions("proptest-regressions/text.txt"))]

    #[test]
    fn nothing_escaped_can_do_more_than_be_read(text: String, more in "[\u{0}-\u{1f}\u{7f}-\u{9f}\u{200b}-\u{202e}\u{2066}-\u{2069}\u{feff}]*") {
        let shown = Escaped(&format!("{text}{more}")).to_string();
        let acts = |c: char| c.is_control() || ['\u{200b}', '\u{202e}', '\u{2028}', '\u{2066}', '\u{feff}'].contains(&c);
        prop_assert!(!shown.contains(acts));
    }

    #[test]
    fn two_texts_are_never_shown_alike(one in "[\\\\nx{}u1b\n\u{1b}\u{202e}]{0,6}", two in "[\\\\nx{}u1b\n\u{1b}\u{202e}]{0,6}") {
        prop_assert_eq!(Escaped(&one).to_string() == Escaped(&two).to_string(), one == two);
    }

    #[test]
    fn a_shortened_text_begins_as_it_did_and_is_bounded(text in "[aä€😀]{0,1500}") {
        let short = shortened(&text);
        prop_assert!(short.len() < MESSAGE_MAX + 40);
        if text.len() <= MESSAGE_MAX {
            prop_assert_eq!(short, text);
        } else {
            let kept = short.split('…').next().unwrap_or("");
            prop_assert!(text.starts_with(kept) && kept.len() > MESSAGE_MAX - 4);
        }
    }

    #[test]
    fn no_credentials_are_kept(user in "[a-z]{3,8}", password in "[A-Z0-9!:@%]{6,12}", before in "[ a-z:/]{0,9}", after in "[ a-z/?]{0,9}") {
        let text = format!("{before}http://{user}:{password}@proxy:3128{after}");
        let clean = without_credentials(&text);
        prop_assert!(!clean.contains(&password) && !clean.contains(&user), "{}", clean);
        prop_assert!(clean.contains("proxy:3128"));
    }
}

#[test]
fn a_digest_is_no_credential() {
    let text = "docker://quay.io/app@sha256:00: refused";
    assert_eq!(without_credentials(text), text);
}
