use super::*;
use crate::workspace::Source;

const ERRORS_RS: &str = "pub enum Rule { A, B } impl Display for Rule { fn fmt(&self) { Self::A; Self::B; } }";
const CODE: &str = "fn checks() -> R { ensure(x, Rule::A)?; Err(Rule::B) }
    pub struct Questions; impl Questions { pub fn accept(&self) {} }";
const TESTS: &str = "
    #[test] fn row_001_a_is_refused() { refused(Rule::A) }
    #[test] fn row_002_b_is_refused() { breaks() }
    fn breaks() { deeper(); }
    fn deeper() { assert_eq!(f(), Err(Rule::B)); }
    #[test] fn row_003_something_is_done() { checks() }
    #[test] fn row_004_somebody_is_asked() { asked() }
    fn asked() { questions.accept(); }
";
const ROWS_TOML: &str = r#"
title = "Four"
[[row]]
number = 1
section = "6"
level = "MUST"
rule = "a | b"
decision = "enforced"
refused_with = ["Rule::A"]
[[row]]
number = 2
section = "6"
level = "MUST"
rule = "b"
decision = "enforced"
refused_with = "Rule::B"
[[row]]
number = 3
section = "6"
level = "MAY"
rule = "c"
decision = "behaviour"
code = "crates/mls/src/code.rs::checks"
[[row]]
number = 4
section = "6"
level = "MUST"
rule = "d"
decision = "application"
hook = "crates/mls/src/code.rs::Questions::accept"
"#;

/// The gaps of a small workspace after a replacement in one of its texts, but for the rows above 4.
fn gaps(replace: &str, with: &str, beyond: &str) -> Vec<String> {
    let texts = [ERRORS_RS, CODE, TESTS, ROWS_TOML].map(|text| text.replace(replace, with));
    assert!(
        replace.is_empty() || texts != [ERRORS_RS, CODE, TESTS, ROWS_TOML].map(str::to_owned),
        "nothing was replaced"
    );
    let [errors, code, tests, rows_toml] = texts;
    let index = Index::new(&[
        Source::of_text("crates/mls/src/error.rs", &errors),
        Source::of_text("crates/mls/src/code.rs", &code),
        Source::of_text("crates/mls/tests/rows.rs", &tests),
    ]);
    let mut rows = Rows::default();
    rows.add("a_four.toml", &rows_toml).unwrap();
    rows.add("beyond.toml", beyond).unwrap();
    let gaps = check(&rows, &index).gaps;
    gaps.iter().filter(|gap| !matches!(gap, Gap::NoRow(5..))).map(Gap::to_string).collect()
}

fn after(replace: &str, with: &str) -> Vec<String> {
    gaps(replace, with, "")
}

#[test]
fn what_fits_has_no_gaps() {
    assert_eq!(gaps("", "", ""), [""; 0]);
}

#[test]
fn numbers_are_complete_and_unique() {
    assert_eq!(
        after("number = 4", "number = 3")[..2],
        ["row 3 is there twice or is none of the checklist", "row 4 is missing"]
    );
    let gaps = after("number = 4", "number = 241");
    assert!(gaps.contains(&"row 241 is there twice or is none of the checklist".to_owned()), "{gaps:?}");
}

#[test]
fn an_open_row_is_found() {
    assert_eq!(after("\"behaviour\"", "\"open\""), ["row 3 is open"]);
}

#[test]
fn a_row_without_a_test_is_found() {
    assert_eq!(after("row_003_something", "third"), ["row 3: no test is named row_003_…"]);
    assert_eq!(after("#[test] fn row_003", "fn row_003"), ["row 3: no test is named row_003_…"]);
}

#[test]
fn an_ignored_test_does_not_count() {
    let gaps = after("#[test] fn row_003", "#[test] #[ignore = \"slow\"] fn row_003");
    assert_eq!(gaps, ["row 3: no test is named row_003_…", "row_003_something_is_done: the test is ignored"]);
}

#[test]
fn a_test_in_the_arguments_of_a_macro_counts_and_may_not_be_ignored() {
    let made = "plays! { fn row_003_something_is_done() { checks() } }";
    assert_eq!(after("#[test] fn row_003_something_is_done() { checks() }", made), [""; 0]);
    let ignored = "plays! { #[ignore] fn row_003_something_is_done() { checks() } }";
    assert_eq!(after("#[test] fn row_003_something_is_done() { checks() }", ignored).len(), 2);
    let conditional = "plays! { #[cfg(unix)] fn row_003_something_is_done() { checks() } }";
    assert_eq!(after("#[test] fn row_003_something_is_done() { checks() }", conditional).len(), 2);
    let unused = "macro_rules! plays { () => { #[test] fn row_003_something_is_done() { checks() } } }";
    assert_eq!(
        after("#[test] fn row_003_something_is_done() { checks() }", unused),
        ["row 3: no test is named row_003_…"]
    );
}

#[test]
fn a_test_of_a_row_that_does_not_exist_is_found() {
    assert_eq!(after("fn breaks", "#[test] fn row_999_x() {} fn breaks"), ["row_999_x: there is no such row"]);
}

#[test]
fn an_enforced_row_names_variants_that_exist() {
    let missing = after("refused_with = [\"Rule::A\"]\n", "");
    for gap in ["row 1: refused_with names no variant", "Rule::A: neither a row nor beyond.toml names it"] {
        assert!(missing.contains(&gap.to_owned()), "{missing:?}");
    }
    let unknown = after("[\"Rule::A\"]", "[\"Rule::A\", \"Rule::Z\"]");
    assert_eq!(unknown, ["row 1: Rule::Z does not exist"]);
    let other = after("[\"Rule::A\"]", "[\"Rule::A\", \"wrong group\"]");
    assert_eq!(other, ["row 1: refused_with is not Error::Variant"]);
}

#[test]
fn a_variant_that_no_code_returns_is_found() {
    let never = ["Rule::A: no code returns it"];
    assert_eq!(after("ensure(x, Rule::A)?", "x"), never);
    assert_eq!(after("ensure(x, Rule::A)?", "if e == Rule::A {}"), never);
    assert_eq!(after("ensure(x, Rule::A)?", "let _ = Rule::A"), never);
    assert_eq!(after("ensure(x, Rule::A)?", "match e { Rule::A => {} _ => {} }"), never);
    assert_eq!(after("fn checks() -> R {", "fn checks() -> R { } #[cfg(test)] fn b() {").len(), 2);
}

#[test]
fn a_variant_is_made_where_what_is_reworded_as_it_is_made() {
    let from = "pub enum TreeError { Out } impl From<TreeError> for Error {
        fn from(e: TreeError) -> Self { match e { TreeError::Out => Self::Rule(Rule::A) } } } fn checks() -> R { ";
    let unmade = after("fn checks() -> R { ensure(x, Rule::A)?;", from);
    assert_eq!(unmade, ["Rule::A: no code returns it"]);
    let made = format!("{from} Err(TreeError::Out)?;");
    assert_eq!(after("fn checks() -> R { ensure(x, Rule::A)?;", &made), [""; 0]);
}

#[test]
fn a_test_names_the_variant_itself_or_through_functions_of_its_file() {
    assert_eq!(after("refused(Rule::A)", "refused()"), ["row 1: no test of the row names Rule::A"]);
    assert_eq!(after("deeper();", ""), ["row 2: no test of the row names Rule::B"]);
    assert_eq!(after("deeper();", "cases.map(deeper);"), [""; 0]);
    let table = "const TABLE: [Rule; 1] = [Rule::A]; #[test] fn row_001_a_is_refused() { for rule in TABLE {} }";
    assert_eq!(after("#[test] fn row_001_a_is_refused() { refused(Rule::A) }", table), [""; 0]);
}

#[test]
fn code_and_hooks_exist() {
    let gone = after("code.rs::checks", "code.rs::gone");
    assert_eq!(gone[0], "row 3: crates/mls/src/code.rs::gone does not exist");
    assert_eq!(after("code = \"crates/mls/src/code.rs::checks\"", ""), ["row 3: code names no code"]);
    assert_eq!(after("hook = \"crates/mls/src/code.rs::Questions::accept\"", ""), ["row 4: hook names no code"]);
    assert_eq!(after("pub fn accept", "pub fn other").len(), 1);
}

#[test]
fn a_test_asserts_what_its_row_lists_or_says_that_it_names_besides() {
    let other = "row 1: a test names Rule::B, which the row does not";
    assert_eq!(after("refused(Rule::A)", "refused(Rule::A); refused(Rule::B)"), [other]);
    let besides = |list: &str| format!("refused_with = [\"Rule::A\"]\nbeside = {list}");
    let idle = after("refused_with = [\"Rule::A\"]", &besides("[\"Rule::B\"]"));
    assert_eq!(idle, ["row 1: Rule::B is not what its tests name besides"]);
    let own = after("refused_with = [\"Rule::A\"]", &besides("\"Rule::A\""));
    assert_eq!(own, ["row 1: Rule::A is not what its tests name besides"]);
}

#[test]
fn a_test_of_a_behaviour_or_a_hook_touches_it() {
    let untouched = |row| [format!("row {row}: no test of the row touches the code that it names")];
    assert_eq!(after("{ checks() }", "{}"), untouched(3));
    assert_eq!(after("questions.accept();", "questions.reject();"), untouched(4));
    // In a comment or a text it is not touched.
    assert_eq!(after("{ checks() }", "{ /* checks() */ \"checks\"; }"), untouched(3));
}

#[test]
fn a_test_that_may_never_be_compiled_does_not_count() {
    let gaps =
        ["row 3: no test is named row_003_…", "row_003_something_is_done: the test stands under a cfg other than test"];
    assert_eq!(after("#[test] fn row_003", "#[cfg(feature = \"never\")] #[test] fn row_003"), gaps);
    let module = |condition: &str| {
        let test = "#[test] fn row_003_something_is_done() { checks() }";
        after(test, &format!("#[cfg({condition})] mod m {{ {test} }}"))
    };
    assert_eq!(module("unix"), gaps);
    assert_eq!(module("test"), [""; 0]);
    let ignored = after("#[test] fn row_003", "#[cfg_attr(unix, ignore)] #[test] fn row_003");
    assert_eq!(ignored, ["row 3: no test is named row_003_…", "row_003_something_is_done: the test is ignored"]);
}

#[test]
fn every_variant_is_named_by_a_row_or_beyond_and_not_by_both() {
    let more = "A, B, C } fn made() { Rule::C }";
    assert_eq!(after("A, B }", more), ["Rule::C: neither a row nor beyond.toml names it"]);
    let beyond = |name: &str, test: &str| {
        format!("[[variant]]\nname = \"{name}\"\ntest = \"crates/mls/tests/rows.rs::{test}\"\nnote = \"why\"\n")
    };
    let wrong = gaps("A, B }", more, &beyond("Rule::C", "row_001_a_is_refused"));
    assert_eq!(wrong, ["beyond.toml: crates/mls/tests/rows.rs::row_001_a_is_refused is no test that names Rule::C"]);
    let gone = gaps("", "", &beyond("Rule::C", "row_001_a_is_refused"));
    assert_eq!(gone, ["beyond.toml: Rule::C does not exist"]);
    let both = gaps("", "", &beyond("Rule::A", "row_001_a_is_refused"));
    assert_eq!(both, ["Rule::A: a row and beyond.toml name it"]);
}

#[test]
fn a_field_that_no_row_has_is_an_error() {
    let mut rows = Rows::default();
    assert!(rows.add("a.toml", &ROWS_TOML.replace("hook", "hooks")).is_err());
}

#[test]
fn only_twenty_rows_are_left_to_the_application() {
    let row = |number: u16| {
        format!(
            "[[row]]\nnumber = {number}\nsection = \"6\"\nlevel = \"MUST\"\nrule = \"x\"\ndecision = \"application\"\n"
        )
    };
    let text: String = (1..=21).map(row).collect();
    let mut rows = Rows::default();
    rows.add("a.toml", &format!("title = \"x\"\n{text}")).unwrap();
    let gaps = check(&rows, &Index::new(&[])).gaps;
    assert!(gaps.contains(&Gap::TooManyApplication(21)));
    rows.sections[0].rows.truncate(20);
    assert!(!check(&rows, &Index::new(&[])).gaps.iter().any(|gap| matches!(gap, Gap::TooManyApplication(_))));
}
