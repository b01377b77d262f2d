//! What the types of the states rule out at compile time.

#[test]
fn states_forged_skipped_or_reused_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile-fail/*.rs");
}
