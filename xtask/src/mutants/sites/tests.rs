use super::*;

const ERRORS: &str = "pub enum Rule { A, B } pub enum Usage { C { n: u8 }, D } ";

/// The code with each way of its one site that makes `Rule::A` or `Usage::C` put around it.
fn switched(code: &str) -> Vec<String> {
    let text = format!("{ERRORS}{code}");
    let sources = [Source::of_text("crates/mls/src/a.rs", &text)];
    let wanted = BTreeSet::from([Name::new("Rule", "A"), Name::new("Usage", "C")]);
    let sites = sites(&sources, &Index::new(&sources), &wanted);
    let [site] = &sites[..] else { panic!("{sites:?}") };
    let put = |way: &Way| {
        let Range { start, end } = way.bytes.clone();
        let (rest, behind) = text.split_at(end);
        let (ahead, code) = rest.split_at(start);
        let whole = [ahead, &way.before, code, &way.behind, behind].concat();
        syn::parse_file(&whole.replace('#', "on()")).unwrap();
        whole.strip_prefix(ERRORS).unwrap().to_owned()
    };
    site.ways.iter().map(put).collect()
}

#[test]
fn a_condition_is_made_true() {
    assert_eq!(
        switched("fn f() { ensure(a == b, Rule::A)?; }"),
        [
            "fn f() { ensure((match a == b { false if # => true, holds => holds }), Rule::A)?; }",
            "fn f() { ensure(a == b, (if # { Rule::B } else { Rule::A }))?; }"
        ]
    );
}

#[test]
fn a_return_is_not_taken() {
    let ways = switched("fn f() { if bad { return Err(Rule::A.into()); } go() }");
    assert_eq!(ways[0], "fn f() { if bad { if !# { return Err(Rule::A.into()); } } go() }");
    assert_eq!(ways.len(), 5);
}

#[test]
fn an_error_becomes_a_value() {
    let ways = switched("fn f() { if good { Ok(()) } else { Err(Rule::A) } }");
    assert_eq!(
        ways[0],
        "fn f() { if good { Ok(()) } else { (if # { Ok(Default::default()) } else { Err(Rule::A) }) } }"
    );
}

#[test]
fn an_error_of_one_branch_leaves_the_others_alone() {
    assert_eq!(
        switched("fn f() { return Err(if x { Rule::A } else { Rule::B }); }"),
        ["fn f() { return Err(if x { (if # { Rule::B } else { Rule::A }) } else { Rule::B }); }"]
    );
}

#[test]
fn an_absent_or_failed_value_becomes_a_default() {
    let absent = switched("fn f() { a.b(c).ok_or(Rule::A)?; }");
    assert_eq!(
        absent[0],
        "fn f() { (a.b(c)).or_else(|| if # { Some(Default::default()) } else { None }).ok_or(Rule::A)?; }"
    );
    let failed = switched("fn f() { a.b().map_err(|_| Rule::A)?; }");
    assert!(failed[0].contains("(a.b()).or_else(|error| if # { Ok(Default::default()) } else { Err(error) }).map_err"));
}

#[test]
fn an_error_that_is_handed_over_is_exchanged() {
    assert_eq!(switched("fn f() { fault(x, Rule::A) }"), ["fn f() { fault(x, (if # { Rule::B } else { Rule::A })) }"]);
    assert_eq!(
        switched("fn f() { g(Usage::C { n: 1 }) }"),
        ["fn f() { g((if # { Usage::D } else { Usage::C { n: 1 } })) }"]
    );
}

#[test]
fn keys_tell_places_of_one_function_apart() {
    let text = format!("{ERRORS} fn f() {{ ensure(a, Rule::A)?; ensure(b, Rule::A)?; }}");
    let sources = [Source::of_text("crates/mls/src/a.rs", &text)];
    let sites = sites(&sources, &Index::new(&sources), &BTreeSet::from([Name::new("Rule", "A")]));
    let keys: Vec<&str> = sites.iter().map(|site| &*site.key).collect();
    assert_eq!(keys, ["crates/mls/src/a.rs::f Rule::A 1", "crates/mls/src/a.rs::f Rule::A 2"]);
}
