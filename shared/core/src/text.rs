//! Texts for people: times of day, numbers, and the word that was probably meant.

use jiff::Timestamp;

/// The known word nearest to `given`, if one is near enough to be what was meant.
pub fn nearest_word<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Two letters swapped in a word of three are a slip; half the letters differing is another word.
    const SIMILARITY_MIN: f64 = 0.6;
    known
        .into_iter()
        .map(|word| (strsim::normalized_damerau_levenshtein(given, word), word))
        .filter(|(similarity, _)| SIMILARITY_MIN <= *similarity)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

/// `; did you mean \`x\`?` or nothing.
pub(crate) fn suggestion<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest_word(given, known).map(|word| format!("; did you mean `{word}`?")).unwrap_or_default()
}

/// Hours and minutes in UTC, for sentences.
pub(crate) fn clock(at: Timestamp) -> String {
    at.to_string().get(11..16).map_or_else(|| at.to_string(), |clock| format!("{clock} UTC"))
}

/// Day, hours and minutes in UTC, for what may end on another day.
pub(crate) fn day_clock(at: Timestamp) -> String {
    at.strftime("%a %H:%M UTC").to_string()
}

/// Without decimals where there are none.
pub(crate) fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}
