//! What somebody meant who has misspelt a name.
//!
//! The image compiler has a search of its own, `image_compiler::diagnostic::closest`, and with a reason: it compares names of a
//! manifest of any length, in any script and case, and takes two wrong letters of five for slips. Here a domain
//! looks among short names, with a table on its stack and no heap.

#![no_std]
#![forbid(unsafe_code)]

/// Longest word that is compared.
const LONGEST: usize = 16;

/// The word that is closest to a misspelt one, if one is close: at most two letters are wrong, missing or too many, or
/// have changed places, and more are right than wrong. It is another word: what was typed was not understood.
pub fn closest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let others = words.into_iter().filter(|other| *other != word);
    let distances = others.filter_map(|other| Some((distance(word, other)?, other)));
    let (distance, found) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 2 && 2 * distance < found.len()).then_some(found)
}

/// Letters to add, to take away, to change, or to let change places with the next one, to make one word of the other.
fn distance(one: &str, other: &str) -> Option<usize> {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len().max(other.len()) > LONGEST {
        return None;
    }
    // Row `n`: from the first `n` letters of `one` to the first letters of `other`, for each number of them.
    let mut rows = [[0; LONGEST + 1]; LONGEST + 1];
    rows[0] = core::array::from_fn(|letters| letters);
    for (row, letter) in (1..).zip(one) {
        rows[row][0] = row;
        for (column, wanted) in (1..).zip(other) {
            let change = rows[row - 1][column - 1] + usize::from(letter != wanted);
            let mut least = change.min(rows[row - 1][column] + 1).min(rows[row][column - 1] + 1);
            let is_swapped = row > 1 && column > 1 && *letter == other[column - 2] && one[row - 2] == *wanted;
            if is_swapped {
                least = least.min(rows[row - 2][column - 2] + 1);
            }
            rows[row][column] = least;
        }
    }
    Some(rows[one.len()][other.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_close_is_found() {
        let words = ["stpm", "tpmdemo", "ipctest1", "ipctest2", "ab"];
        let cases = [
            ("stmp", Some("stpm")),
            ("stp", Some("stpm")),
            ("stpmm", Some("stpm")),
            ("tpmdem", Some("tpmdemo")),
            ("demo", None),
            ("ipctest3", Some("ipctest1")),
            ("ba", None),
            ("", None),
            ("a-name-that-is-far-too-long", None),
            // What was typed is not what was meant.
            ("tpmdemo", None),
            ("ipctest1", Some("ipctest2")),
        ];
        for (word, meant) in cases {
            assert_eq!(closest(word, words), meant, "{word}");
        }
        assert_eq!(closest("stpm", []), None);
    }
}
