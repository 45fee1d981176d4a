//! Generates the gRPC code with protox (no protoc), the descriptor set, and the table of who may
//! call which method. A method without the `access` option fails the build.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, error::Error, fs};

use prost_reflect::DescriptorPool;

const PROTO: &str = "../../proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO}");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut compiler = protox::Compiler::new([PROTO])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(files(Path::new(PROTO))?)?;
    fs::write(
        out.join("rollcall.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    fs::write(
        out.join("access.rs"),
        access_table(&compiler.descriptor_pool())?,
    )?;
    let mut config = prost_build::Config::new();
    config.btree_map(["."]);
    config.format(false);
    tonic_prost_build::configure()
        .compile_fds_with_config(compiler.file_descriptor_set(), config)?;
    Ok(())
}

/// Every proto file below `root`, relative to it, in a fixed order.
fn files(root: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "proto") {
                found.push(path.strip_prefix(root)?.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The source of `const METHODS: &[Method]`, sorted by path.
fn access_table(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let access = pool
        .get_extension_by_name("rollcall.common.v1.access")
        .ok_or("the option rollcall.common.v1.access is gone")?;
    let mut rows = Vec::new();
    for service in pool.services() {
        for method in service.methods() {
            let options = method.options();
            if !options.has_extension(&access) {
                return Err(format!("{} has no access option", method.full_name()).into());
            }
            let rule = options.get_extension(&access).into_owned();
            let rule = rule.as_message().ok_or("access is a message")?;
            let scope = rule
                .get_field_by_name("scope")
                .ok_or("access has a scope")?;
            let scope = scope.as_str().unwrap_or_default().to_owned();
            let callers = rule
                .get_field_by_name("callers")
                .ok_or("access has callers")?;
            let callers: Vec<String> = callers
                .as_list()
                .unwrap_or_default()
                .iter()
                .filter_map(prost_reflect::Value::as_enum_number)
                .map(|number| number.to_string())
                .collect();
            let path = format!("/{}/{}", service.full_name(), method.name());
            rows.push((path, callers.join(", "), scope));
        }
    }
    rows.sort();
    let mut text = String::from("const METHODS: &[Method] = &[\n");
    for (path, callers, scope) in rows {
        writeln!(
            text,
            "Method {{ path: {path:?}, callers: &[{callers}], scope: {scope:?} }},"
        )?;
    }
    text.push_str("];\n");
    Ok(text)
}
