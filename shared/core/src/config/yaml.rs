//! YAML text to a tree in which every key and value knows its line and column.
//!
//! Scalars are read by the YAML 1.2 core schema, so `yes` and `on` are texts. The file comes from a person, but
//! also from a parameter store, so its size, depth and aliases are limited.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value as Json};

use super::fault::Fault;
use super::path::{Path, Segment};

/// A platform of 10,000 dimensions is about 2 MB of YAML.
pub const FILE_BYTES_MAX: usize = 4 << 20;
/// The schema is eight levels deep; twice that leaves room for what is wrong.
const DEPTH_MAX: usize = 32;
/// Counted after aliases are expanded, so that a few lines cannot become a billion nodes.
const NODES_MAX: usize = 1_000_000;

/// Line and column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Mark {
    pub(crate) const START: Mark = Mark { line: 1, column: 1 };

    pub(crate) fn fault(self, path: &Path, sentence: impl Into<String>) -> Fault {
        Fault { line: self.line, column: self.column, path: path.to_string(), sentence: sentence.into() }
    }
}

impl From<Marker> for Mark {
    fn from(marker: Marker) -> Mark {
        Mark { line: marker.line(), column: marker.col() + 1 }
    }
}

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) mark: Mark,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<MapEntry>),
}

/// A key of a map with its value. Keys are unique within their map.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MapEntry {
    pub(crate) key: String,
    pub(crate) key_mark: Mark,
    pub(crate) node: Node,
}

impl Node {
    /// The entry of a map, if this is a map and has the key.
    pub(crate) fn get(&self, key: &str) -> Option<&MapEntry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The node at `path`, if there is one.
    pub(crate) fn at(&self, path: &Path) -> Option<&Node> {
        path.segments().iter().try_fold(self, |node, segment| match (segment, &node.value) {
            (Segment::Key(key), _) => node.get(key).map(|entry| &entry.node),
            (Segment::Index(index), Value::List(items)) => items.get(*index),
            (Segment::Index(_), _) => None,
        })
    }

    /// Where the node at `path` stands, or the deepest part of the path that exists.
    pub(crate) fn mark_of(&self, path: &Path) -> Mark {
        let mut mark = self.mark;
        let mut node = self;
        for segment in path.segments() {
            let next = match (segment, &node.value) {
                (Segment::Key(key), _) => node.get(key).map(|entry| (entry.key_mark, &entry.node)),
                (Segment::Index(index), Value::List(items)) => {
                    items.get(*index).map(|item| (item.mark, item))
                }
                (Segment::Index(_), _) => None,
            };
            let Some((next_mark, next_node)) = next else { return mark };
            (mark, node) = (next_mark, next_node);
        }
        mark
    }

    /// The same without places, and without the nodes for which `drop` says so.
    pub(crate) fn to_json(&self, at: &Path, drop: &impl Fn(&Path) -> bool) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(value) => Json::Number(value.clone()),
            Value::Text(value) => Json::String(value.clone()),
            Value::List(items) => {
                let kept = items.iter().enumerate().map(|(index, item)| (at.index(index), item));
                Json::Array(
                    kept.filter(|(path, _)| !drop(path))
                        .map(|(path, item)| item.to_json(&path, drop))
                        .collect(),
                )
            }
            Value::Map(entries) => {
                let kept = entries.iter().map(|entry| (at.key(&entry.key), entry));
                let pairs = kept
                    .filter(|(path, _)| !drop(path))
                    .map(|(path, entry)| (entry.key.clone(), entry.node.to_json(&path, drop)));
                Json::Object(Map::from_iter(pairs))
            }
        }
    }

    /// What kind of thing this is, for a sentence.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Number(value) => format!("the number {value}"),
            Value::Text(value) => format!("the text `{value}`"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }
}

/// Reads the first document of `text`. Faults of syntax end the reading; duplicate keys do not.
pub(crate) fn read(text: &str) -> Result<(Node, Vec<Fault>), Fault> {
    if FILE_BYTES_MAX < text.len() {
        let sentence = format!("the file has {} bytes; the most read is {FILE_BYTES_MAX}", text.len());
        return Err(Mark::START.fault(&Path::default(), sentence));
    }
    let mut reader =
        Reader { parser: Parser::new_from_str(text), anchors: BTreeMap::new(), nodes: 0, faults: Vec::new() };
    let root = reader.document()?;
    Ok((root, reader.faults))
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Node, Fault> {
        let at = Path::default();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => (),
                Event::StreamEnd | Event::DocumentEnd => {
                    return Err(Mark::START.fault(&at, "the file is empty"));
                }
                event => return self.node(event, span, &at, 0).and_then(|root| self.end(root)),
            }
        }
    }

    fn end(&mut self, root: Node) -> Result<Node, Fault> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(root),
                (Event::DocumentStart(_), span) => {
                    let mark = Mark::from(span.start);
                    return Err(mark
                        .fault(&Path::default(), "a second document starts here; one file is one platform"));
                }
                _ => (),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'static>, Span), Fault> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((owned(event), span)),
            Some(Err(error)) => {
                Err(Mark::from(*error.marker())
                    .fault(&Path::default(), format!("not YAML: {}", error.info())))
            }
            None => Ok((Event::StreamEnd, Span::empty(Marker::new(0, 1, 0)))),
        }
    }

    fn node(&mut self, event: Event<'_>, span: Span, at: &Path, depth: usize) -> Result<Node, Fault> {
        let mark = Mark::from(span.start);
        self.nodes += 1;
        if DEPTH_MAX < depth || NODES_MAX < self.nodes {
            return Err(mark.fault(at, "nested or repeated too deeply to be a platform"));
        }
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, _) => (anchor, scalar(&text, style)),
            Event::SequenceStart(anchor, _) => (anchor, self.list(at, depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(at, depth)?),
            Event::Alias(anchor) => return self.alias(anchor, mark, at),
            _ => return Err(mark.fault(at, "a value was expected here")),
        };
        let node = Node { mark, value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, mark: Mark, at: &Path) -> Result<Node, Fault> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(mark.fault(at, "the alias refers to something that is not finished"));
        };
        self.nodes += size(node);
        if NODES_MAX < self.nodes {
            return Err(mark.fault(at, "the aliases expand to more than a platform can be"));
        }
        Ok(Node { mark, value: node.value.clone() })
    }

    fn list(&mut self, at: &Path, depth: usize) -> Result<Value, Fault> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Value::List(items));
            }
            let item_at = at.index(items.len());
            items.push(self.node(event, span, &item_at, depth + 1)?);
        }
    }

    fn map(&mut self, at: &Path, depth: usize) -> Result<Value, Fault> {
        let mut entries: Vec<MapEntry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let key_mark = Mark::from(span.start);
            let key = match event {
                Event::MappingEnd => return Ok(Value::Map(entries)),
                Event::Scalar(text, _, _, _) => text.into_owned(),
                _ => return Err(key_mark.fault(at, "a key must be a plain word")),
            };
            let key_at = at.key(&key);
            let (event, span) = self.next()?;
            let node = self.node(event, span, &key_at, depth + 1)?;
            match entries.iter().find(|entry| entry.key == key) {
                Some(first) => {
                    let sentence =
                        format!("the key stands twice; the first is on line {}", first.key_mark.line);
                    self.faults.push(key_mark.fault(&key_at, sentence));
                }
                None => entries.push(MapEntry { key, key_mark, node }),
            }
        }
    }
}

fn owned(event: Event<'_>) -> Event<'static> {
    match event {
        Event::Scalar(text, style, anchor, _) => Event::Scalar(text.into_owned().into(), style, anchor, None),
        Event::SequenceStart(anchor, _) => Event::SequenceStart(anchor, None),
        Event::MappingStart(anchor, _) => Event::MappingStart(anchor, None),
        Event::Nothing => Event::Nothing,
        Event::StreamStart => Event::StreamStart,
        Event::StreamEnd => Event::StreamEnd,
        Event::DocumentStart(explicit) => Event::DocumentStart(explicit),
        Event::DocumentEnd => Event::DocumentEnd,
        Event::Alias(anchor) => Event::Alias(anchor),
        Event::SequenceEnd => Event::SequenceEnd,
        Event::MappingEnd => Event::MappingEnd,
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| size(&entry.node)).sum::<usize>(),
        _ => 1,
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::Text(text.to_owned()), Value::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Number::from(whole));
    }
    Number::from_f64(text.parse::<f64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        read(text).unwrap().0.to_json(&Path::default(), &|_| false)
    }

    #[test]
    fn reads_the_core_schema() {
        let text = "a: 1\nb: -2.5\nc: yes\nd: true\ne: ~\nf: '7'\ng: 2h\nh: [1, {i: x}]\n";
        let expected = r#"{"a":1,"b":-2.5,"c":"yes","d":true,"e":null,"f":"7","g":"2h","h":[1,{"i":"x"}]}"#;
        assert_eq!(json(text), serde_json::from_str::<Json>(expected).unwrap());
    }

    #[test]
    fn knows_lines_and_columns() {
        let (root, _) = read("a:\n  - b: 1\n    c: 2\n").unwrap();
        let path = Path::default().key("a").index(0).key("c");
        assert_eq!(root.mark_of(&path), Mark { line: 3, column: 5 });
        assert_eq!(root.mark_of(&path.key("missing")), Mark { line: 3, column: 5 });
    }

    #[test]
    fn reports_duplicate_keys_and_goes_on() {
        let (_, faults) = read("a: 1\nb: 2\na: 3\n").unwrap();
        assert_eq!(faults[0].to_string(), "3:1: a: the key stands twice; the first is on line 1");
    }

    #[test]
    fn refuses_what_is_not_one_document() {
        for (text, expected) in [
            ("", "the file is empty"),
            ("a: [1, 2", "not YAML"),
            ("a: 1\n---\nb: 2\n", "a second document"),
            ("? [a]\n: 1\n", "a key must be a plain word"),
        ] {
            let fault = read(text).unwrap_err().to_string();
            assert!(fault.contains(expected), "{text:?}: {fault}");
        }
    }

    #[test]
    fn aliases_are_limited_after_expansion() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..8 {
            let row = format!("*a{} ,", level - 1).repeat(10);
            text += &format!("a{level}: &a{level} [{row}]\n");
        }
        assert!(read(&text).unwrap_err().sentence.contains("expand"), "a billion nodes were built");
    }
}
