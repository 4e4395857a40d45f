//! Compiles the file calls of the program, which record and fail on demand.

fn main() {
    println!("cargo::rerun-if-changed=calls.c");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        cc::Build::new()
            .file("calls.c")
            .warnings_into_errors(true)
            .link_lib_modifier("+whole-archive")
            .compile("calls");
    }
}
