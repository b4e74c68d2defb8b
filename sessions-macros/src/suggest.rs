//! Advice in place of a name that does not exist: the nearest valid one, else all of them.

/// Returns the candidate that `wrong` most likely stands for, if there is one.
///
/// A third of the letters may differ. Upper and lower case count as equal: `camelcase` for `camelCase` is common.
pub(crate) fn nearest<'a>(wrong: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    candidates
        .iter()
        .map(|candidate| (distance(&wrong, &candidate.to_lowercase()), *candidate))
        .filter(|(distance, candidate)| *distance <= wrong.chars().count().max(candidate.chars().count()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns the names as `` `a`, `b`, `c` ``.
pub(crate) fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Counts the edits that turn `a` into `b`: insert, remove, replace, or swap two neighbours (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "ab", 2),
            ("merge", "merge", 0),
            ("mrege", "merge", 1),
            ("marge", "merge", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let keys = ["default", "rename", "alias", "skip"];
        assert_eq!(nearest("renam", &keys), Some("rename"));
        assert_eq!(nearest("name", &keys), Some("rename"));
        assert_eq!(nearest("Skip", &keys), Some("skip"));
        assert_eq!(nearest("defalut", &keys), Some("default"));
        assert_eq!(nearest("colour", &keys), None);
        assert_eq!(nearest("camelcase", &["lowercase", "camelCase"]), Some("camelCase"));
    }
}
