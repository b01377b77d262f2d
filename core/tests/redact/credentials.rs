//! Every secret of a credentials file that Go's `encoding/json` accepts is removed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use proptest::sample::select;
use skopeo_index_core::redact::{Redactor, auth_file_secrets, proxy_secrets};

use crate::support::property::config;

fn redact(file: &[u8], text: &str) -> String {
    Redactor::new(auth_file_secrets(file)).redact(text)
}

/// The text of bytes, as Go decodes JSON.
fn lossy(bytes: &[u8]) -> String {
    let chunks = bytes.utf8_chunks();
    let text =
        chunks.map(|chunk| chunk.valid().to_owned() + &"\u{fffd}".repeat(chunk.invalid().len()));
    text.collect()
}

/// Go's `%q`.
fn go_quoted(bytes: &[u8]) -> String {
    let mut quoted = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => quoted.extend(['\\', c]),
                '\n' => quoted.push_str("\\n"),
                '\t' => quoted.push_str("\\t"),
                c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
                c if c.is_ascii() => quoted.push(c),
                c if u32::from(c) > 0xffff => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
                c => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            }
        }
        let invalid = chunk.invalid().iter();
        quoted.extend(invalid.map(|byte| format!("\\x{byte:02x}")));
    }
    quoted
}

fn percent_encoded(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

/// Numeric character references of HTML for all but letters and digits.
fn html_encoded(text: &str, prefix: &str, number: fn(char) -> String) -> String {
    let encode = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_string(),
        c => format!("&{prefix}{};", number(c)),
    };
    text.chars().map(encode).collect()
}

/// How a registry, Go and skopeo may write a secret.
fn forms(secret: &[u8]) -> Vec<String> {
    let once = go_quoted(secret);
    vec![
        lossy(secret),
        go_quoted(once.as_bytes()),
        go_quoted(lossy(secret).as_bytes()),
        percent_encoded(secret),
        html_encoded(&lossy(secret), "#", |c| u32::from(c).to_string()),
        html_encoded(&lossy(secret), "#x", |c| format!("{:04x}", u32::from(c))),
        lossy(secret).replace(' ', "+"),
        percent_encoded(secret).replace("%20", "+"),
        STANDARD.encode(secret).trim_end_matches('=').to_owned(),
        once,
    ]
}

/// A JSON string in which some characters are escaped.
fn literal(text: String) -> impl Strategy<Value = String> {
    prop::collection::vec(any::<bool>(), text.chars().count()).prop_map(move |escaped| {
        let mut literal = String::from("\"");
        for (c, escaped) in text.chars().zip(escaped) {
            match c {
                '\n' if escaped => literal.push_str("\\n"),
                '/' if escaped => literal.push_str("\\/"),
                c if escaped || c.is_control() || c == '"' || c == '\\' => {
                    let mut units = [0; 2];
                    let units = c.encode_utf16(&mut units).iter();
                    literal.extend(units.map(|unit| format!("\\u{unit:04x}")));
                }
                c => literal.push(c),
            }
        }
        literal + "\""
    })
}

/// A key that Go takes for this one.
fn key(name: &'static str) -> impl Strategy<Value = String> {
    let fold = |(c, to): (char, u8)| match (c, to) {
        ('s', 0) => '\u{17f}',
        ('k', 0) => '\u{212a}',
        (c, 1) => c.to_ascii_uppercase(),
        (c, _) => c,
    };
    prop::collection::vec(0..6_u8, name.len())
        .prop_map(move |to| name.chars().zip(to).map(fold).collect::<String>())
        .prop_flat_map(literal)
}

/// Passwords of at least four characters, also such as are not UTF-8.
fn password() -> impl Strategy<Value = Vec<u8>> {
    let middle = prop_oneof![
        "[ -~]{2,20}".prop_map(String::into_bytes),
        "\\PC{1,9}".prop_map(String::into_bytes),
        "[\t\n\r\u{1b}\u{85}\"\\\\%&<>:/=]{1,9}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 1..9),
    ];
    middle.prop_map(|middle| [b"pw", &middle[..], b"x9"].concat())
}

/// The base64 of a login, as Go reads it: with line ends, and with unused bits set.
fn base64(login: Vec<u8>) -> impl Strategy<Value = String> {
    (any::<prop::sample::Index>(), any::<bool>(), any::<bool>()).prop_map(
        move |(at, breaks, bits)| {
            let mut text = STANDARD.encode(&login);
            if bits && text.ends_with('=') {
                let last = text.trim_end_matches('=').len() - 1;
                let next = char::from(text.as_bytes()[last] + 1);
                text.replace_range(last..=last, &next.to_string());
            }
            if breaks {
                text.insert_str(at.index(text.len()), "\r\n");
            }
            text
        },
    )
}

/// Members that skopeo ignores.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let texts: [&[u8]; 8] = [
        br#""x":null"#,
        br#""password":5"#,
        br#""email":"\ud83d""#,
        b"\"email\":\"\xe9\xe2\x82\"",
        br#""x":{"auth":[1,"a",{"y":true}]}"#,
        br#""x\"":"\\""#,
        br#""credHelpers":{}"#,
        b"\"x\":\t-1.5e3 ",
    ];
    select(texts.to_vec()).prop_map(<[u8]>::to_vec)
}

/// A credentials file with a login.
fn file(login: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let auth = base64(login).prop_flat_map(literal);
    let members = (noise(), noise(), noise(), noise());
    let before = select(vec![
        "",
        "\"other\":null,",
        "\"h\":{\"auth\":\"eDp5\",\"auth\":\"eDp5\"},",
    ]);
    let auths_before = select(vec![
        "",
        "\"auths\":{},",
        "\"auths\":{\"o\":{\"auth\":\"eDp5\"}},",
    ]);
    (
        key("auths"),
        key("auth"),
        auth,
        members,
        before,
        auths_before,
    )
        .prop_map(|(auths, key, auth, (a, b, c, d), before, auths_before)| {
            let [auths, key, auth] = [auths, key, auth].map(String::into_bytes);
            [
                b"{",
                auths_before.as_bytes(),
                &a,
                b",",
                &auths,
                b" : {",
                before.as_bytes(),
                b"\"h\":{",
                &b,
                b",",
                &key,
                b":\n",
                &auth,
                b",",
                &c,
                b"}},",
                &d,
                b"}",
            ]
            .concat()
        })
}

proptest! {
    #![proptest_config(config(1000, "redact.txt"))]

    #[test]
    fn password_of_any_file_that_go_accepts_is_removed_in_every_form(
        (password, file) in (password(), 0..2_usize).prop_flat_map(|(password, nuls)| {
            let login = [b"bob:", &password[..], &vec![0; nuls]].concat();
            (Just(password), file(login))
        }),
        around in select(vec!["bad creds ", "pw=", "{\"you\":\"", "x"]),
    ) {
        let login = [b"bob:", &password[..]].concat();
        for form in forms(&password).into_iter().chain(forms(&login)) {
            let clean = redact(&file, &format!("{around}{form}\" end"));
            prop_assert!(!clean.contains(&form), "{:?} in {:?}, {}", form, clean, file.escape_ascii());
        }
    }

    #[test]
    fn token_of_any_file_that_go_accepts_is_removed(
        units in prop::collection::vec(prop_oneof![Just(0xd83d_u16), any::<u16>()], 4..12),
        key in prop_oneof![key("identitytoken"), key("registrytoken"), key("password")],
    ) {
        let token = String::from_utf16_lossy(&units);
        let token = token.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        prop_assume!(token.len() >= 4);
        let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
        let file = format!("{{\"auths\":{{\"h\":{{{key}:\"{escaped}\"}}}}}}");
        for form in forms(token.as_bytes()) {
            let clean = redact(file.as_bytes(), &format!("token {form}"));
            prop_assert!(!clean.contains(&form), "{:?} in {:?}", form, clean);
        }
    }

    #[test]
    fn any_bytes_are_a_credentials_file(file: Vec<u8>) {
        let _secrets = auth_file_secrets(&file);
    }
}

#[test]
fn credentials_file_gives_its_secrets_and_nothing_else() {
    let auth = STANDARD.encode("alice:correct horse");
    let file = serde_json::json!({ "auths": {
        "a.example": { "auth": auth, "email": "alice@example" },
        "b": { "auth": "bm90IGEgcGFpcg", "identitytoken": "id-token-1" },
        "c": { "registrytoken": "registry-token-1", "password": "pass-1", "username": "carol" },
        "d": {},
    }, "credHelpers": { "auth.example": "ecr-login" }, "credsStore": "password-store" });
    let text = format!(
        "{auth} alice:correct horse, correct horse; not a pair; id-token-1 registry-token-1 pass-1"
    );
    let file = file.to_string();
    assert_eq!(
        redact(file.as_bytes(), &text),
        "*** ***, ***; ***; *** *** ***"
    );
    for name in [
        "a.example",
        "alice@example",
        "carol",
        "ecr-login",
        "password-store",
    ] {
        assert_eq!(redact(file.as_bytes(), name), name);
    }
}

#[test]
fn secrets_of_a_dockercfg_are_replaced() {
    let auth = STANDARD.encode("alice:correct horse");
    let file = serde_json::json!({"https://a/v1/": {"auth": auth, "email": "e"}}).to_string();
    let text = format!("{auth} correct horse");
    assert_eq!(redact(file.as_bytes(), &text), "*** ***");
}

#[test]
fn nul_after_a_password_is_not_a_part_of_it() {
    let auth = STANDARD.encode("alice:correct horse\0");
    let file = format!("{{\"auths\":{{\"a\":{{\"auth\":\"{auth}\"}}}}}}");
    let sent = STANDARD.encode("alice:correct horse");
    let text = format!("correct horse {}", sent.trim_end_matches('='));
    assert_eq!(redact(file.as_bytes(), &text), "*** ***");
}

#[test]
fn base64_of_a_token_with_and_without_the_space_around_it_is_removed() {
    let token = "\u{2000}id-token-1\u{a0}\n";
    let file = serde_json::json!({"auths": {"a": {"identitytoken": token}}}).to_string();
    let [whole, trimmed] = [token, token.trim()].map(|it| STANDARD.encode(it));
    let text = format!("{whole} {trimmed}").replace('=', "");
    assert_eq!(redact(file.as_bytes(), &text), "*** ***");
}

#[test]
fn proxy_password_is_replaced_as_written_and_as_sent() {
    for (url, text) in [
        (
            "http://bob:p%40ssw%2Frd@localhost:1",
            "p@ssw/rd p%40ssw%2Frd Ym9iOnBAc3N3L3Jk",
        ),
        (
            "bob:p@ssw/rd@localhost",
            "p@ssw/rd p%40ssw%2frd Ym9iOnBAc3N3L3Jk",
        ),
        (
            "socks5://bob:100%25%@localhost",
            "100%% 100%25%25 Ym9iOjEwMCUl",
        ),
        ("https://token-1@localhost", "token-1 token%2D1 dG9rZW4tMTo"),
    ] {
        let redactor = Redactor::new(proxy_secrets(url));
        assert_eq!(redactor.redact(text), "*** *** ***", "{url}");
        assert_eq!(redactor.redact("to localhost:1"), "to localhost:1");
    }
    assert!(proxy_secrets("http://localhost:3128").is_empty());
}
