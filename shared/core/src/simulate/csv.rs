//! Lines of CSV, as RFC 4180 quotes them.

use std::borrow::Cow;

/// The fields of a line of CSV, without the quotes and the spaces around them.
pub(super) fn fields(line: &str) -> Result<Vec<Cow<'_, str>>, String> {
    if !line.contains('"') {
        return Ok(line.split(',').map(|field| Cow::Borrowed(field.trim())).collect());
    }
    let mut fields = Vec::new();
    let mut rest = Some(line);
    while let Some(text) = rest {
        let (field, after) = match text.trim_start().strip_prefix('"') {
            Some(quoted) => in_quotes(quoted)?,
            None => {
                let (field, after) =
                    text.split_once(',').map_or((text, None), |(field, after)| (field, Some(after)));
                (Cow::Borrowed(field.trim()), after)
            }
        };
        fields.push(field);
        rest = after;
    }
    Ok(fields)
}

/// A field that began with a quote, and what comes after its comma. Two quotes in it stand for one.
fn in_quotes(text: &str) -> Result<(Cow<'_, str>, Option<&str>), String> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"').ok_or("has a quote that is not closed on its line")?;
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None => {
                let after = after.trim_start();
                let next = after.strip_prefix(',');
                return if next.is_some() || after.is_empty() {
                    Ok((Cow::Owned(field.trim().to_owned()), next))
                } else {
                    Err(format!("has `{after}` after a quote, where a comma belongs"))
                };
            }
        }
    }
}
