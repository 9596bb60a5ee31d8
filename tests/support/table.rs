//! Tables as text, one case per line.

/// The rows of a table, split at `|` and trimmed.
pub(crate) fn rows<const N: usize>(table: &str) -> Vec<[&str; N]> {
    let lines = table.lines().filter(|line| !line.trim().is_empty());
    let row = |line| {
        let cells: Vec<&str> = str::split(line, " | ").map(str::trim).collect();
        let n = cells.len();
        let row = cells.try_into();
        row.unwrap_or_else(|_| panic!("{line} has {n} cells"))
    };
    lines.map(row).collect()
}
