//! Writes the corpus: `cargo run -p keyroom-negative`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers")]

fn main() {
    let folder = keyroom_negative::folder();
    std::fs::create_dir_all(&folder).unwrap();
    for (file, cases) in keyroom_negative::generate() {
        let text = serde_json::to_string_pretty(&cases).unwrap() + "\n";
        std::fs::write(folder.join(format!("{file}.json")), text).unwrap();
        println!("{file}: {} cases", cases.len());
        for case in cases {
            println!("  {:3} {:2} {:40} {}", case.row, case.opening.cipher_suite, case.error, case.description);
        }
    }
}
