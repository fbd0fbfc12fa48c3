//! The grammar of Kubernetes' JSONPath templates.

use std::iter::Peekable;
use std::str::CharIndices;

/// One step of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Literal text: between braces, or quoted inside.
    Text(String),
    /// One expression in braces: steps, each on the results of the one before.
    List(Vec<Node>),
    /// Member of an object.
    Field(String),
    /// Part of a list.
    Array(Slice),
    /// Items of a list that a comparison accepts.
    Filter {
        left: Vec<Node>,
        operator: String,
        right: Vec<Node>,
    },
    /// A literal.
    Integer(i64),
    /// A literal.
    Float(f64),
    /// A literal.
    Bool(bool),
    /// Every child.
    Wildcard,
    /// Every descendant that has children, and the value itself.
    Recursive,
    /// The results of several expressions, one after the other.
    Union(Vec<Vec<Node>>),
    /// `range`, `end` or a word without meaning.
    Identifier(String),
}

/// The operator of a filter that only asks whether something is there.
pub(super) const EXISTS: &str = "exists";

/// `[start:end:step]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) start: Option<i64>,
    pub(super) end: Option<i64>,
    /// The end was not written: it is one behind the start.
    pub(super) single: bool,
    pub(super) step: Option<i64>,
}

/// A template that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Longer than the limit.
    #[error("longer than {} bytes", super::MAX_LENGTH)]
    TooLong,
    /// The closing brace is missing.
    #[error("unclosed action")]
    UnclosedAction,
    /// A character that starts nothing.
    #[error("unrecognized character in action: {0:?}")]
    Character(char),
    /// `[` without `]`.
    #[error("unterminated array")]
    UnterminatedArray,
    /// Not an index, a slice or a quoted name.
    #[error("invalid array index {0}")]
    Index(String),
    /// `[?(` without `)`.
    #[error("unterminated filter")]
    UnterminatedFilter,
    /// `)` of a filter is not followed by `]`.
    #[error("unclosed array expect ]")]
    UnclosedFilter,
    /// A quote without its second.
    #[error("unterminated quoted string")]
    UnterminatedQuote,
    /// A quoted text with an escape that does not exist.
    #[error("cannot unquote {0}")]
    Unquote(String),
    /// Neither a whole nor another number.
    #[error("cannot parse number {0}")]
    Number(String),
    /// `....`.
    #[error("invalid multiple recursive descent")]
    Recursion,
}

/// Parses a whole template: text and expressions in braces.
pub(super) fn parse(mut text: &str) -> Result<Vec<Node>, ParseError> {
    let mut nodes = Vec::new();
    while let Some(brace) = text.find('{') {
        if brace > 0 {
            nodes.push(Node::Text(text[..brace].to_owned()));
        }
        let mut action = Action {
            text: &text[brace + 1..],
            at: 0,
            nodes: Vec::new(),
        };
        action.run()?;
        text = &text[brace + 1 + action.at..];
        nodes.push(Node::List(action.nodes));
    }
    if !text.is_empty() {
        nodes.push(Node::Text(text.to_owned()));
    }
    Ok(nodes)
}

/// Parses `text` as the inside of braces. Names in quotes, parts of unions and sides of filters are
/// read so; a filter ends at its first `)` and a bracket at its first `]`, so they cannot hold one
/// another and this nests only a few levels.
fn expression(text: &str) -> Result<Vec<Node>, ParseError> {
    let nodes = parse(&format!("{{{text}}}"))?;
    match nodes.into_iter().next() {
        Some(Node::List(nodes)) => Ok(nodes),
        _ => Ok(Vec::new()),
    }
}

/// One expression, from behind its opening brace.
struct Action<'a> {
    text: &'a str,
    at: usize,
    nodes: Vec<Node>,
}

impl<'a> Action<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn run(&mut self) -> Result<(), ParseError> {
        loop {
            if self.rest().starts_with("[?(") {
                self.filter()?;
                continue;
            }
            if self.rest().starts_with("..") {
                self.recursive()?;
                continue;
            }
            let Some(next) = self.rest().chars().next() else {
                return Err(ParseError::UnclosedAction);
            };
            match next {
                '}' => {
                    self.at += 1;
                    return Ok(());
                }
                '\r' | '\n' => return Err(ParseError::UnclosedAction),
                ' ' | '@' | '$' => self.at += 1,
                '[' => self.array()?,
                '"' | '\'' => self.quote(next)?,
                '.' => {
                    self.at += 1;
                    self.field();
                }
                '+' | '-' => self.number()?,
                digit if digit.is_numeric() => self.number()?,
                letter if is_word(letter) => self.identifier(),
                other => return Err(ParseError::Character(other)),
            }
        }
    }

    /// Takes text up to the first terminator; a backslash takes the next character as it is.
    fn take_name(&mut self, escapes: bool) -> &'a str {
        let start = self.rest();
        let mut characters = start.char_indices();
        let end = loop {
            match characters.next() {
                None => break start.len(),
                Some((_, '\\')) if escapes => {
                    characters.next();
                }
                Some((at, character)) if is_terminator(character) => break at,
                Some(_) => {}
            }
        };
        self.at += end;
        &start[..end]
    }

    fn field(&mut self) {
        let name = self.take_name(true);
        self.nodes.push(match name {
            "*" => Node::Wildcard,
            name => Node::Field(name.replace('\\', "")),
        });
    }

    fn identifier(&mut self) {
        let name = self.take_name(false);
        self.nodes.push(match name {
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            name => Node::Identifier(name.to_owned()),
        });
    }

    fn recursive(&mut self) -> Result<(), ParseError> {
        if self.nodes.last() == Some(&Node::Recursive) {
            return Err(ParseError::Recursion);
        }
        self.at += 2;
        self.nodes.push(Node::Recursive);
        if self.rest().chars().next().is_some_and(is_word) {
            self.field();
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), ParseError> {
        let start = self.rest();
        let sign = usize::from(start.starts_with(['+', '-']));
        let digits = start[sign..].find(|c: char| c != '.' && !c.is_numeric());
        let text = &start[..digits.map_or(start.len(), |length| sign + length)];
        self.at += text.len();
        let node = match text.parse::<i64>() {
            Ok(value) => Node::Integer(value),
            Err(_) => match text.parse::<f64>() {
                Ok(value) => Node::Float(value),
                Err(_) => return Err(ParseError::Number(text.to_owned())),
            },
        };
        self.nodes.push(node);
        Ok(())
    }

    fn quote(&mut self, quote: char) -> Result<(), ParseError> {
        let start = self.rest();
        let mut before = quote;
        for (at, character) in start.char_indices().skip(1) {
            match character {
                '\n' => return Err(ParseError::UnterminatedQuote),
                _ if character == quote && before != '\\' => {
                    let quoted = &start[1..at];
                    let text = unquote(quoted, quote)
                        .ok_or_else(|| ParseError::Unquote(quoted.to_owned()))?;
                    self.nodes.push(Node::Text(text));
                    self.at += at + 1;
                    return Ok(());
                }
                _ => before = character,
            }
        }
        Err(ParseError::UnterminatedQuote)
    }

    fn array(&mut self) -> Result<(), ParseError> {
        let start = self.rest();
        let end = start
            .find([']', '\n'])
            .ok_or(ParseError::UnterminatedArray)?;
        if start[end..].starts_with('\n') {
            return Err(ParseError::UnterminatedArray);
        }
        self.at += end + 1;
        let text = match &start[1..end] {
            "*" => ":",
            text => text,
        };
        if text.contains(',') {
            let parts = text.split(',');
            let parts = parts.map(|part| expression(&format!("[{}]", part.trim_matches(' '))));
            self.nodes
                .push(Node::Union(parts.collect::<Result<_, _>>()?));
        } else if let Some(name) = quoted_name(text) {
            // The name is read as a path, so a dot in it separates.
            self.nodes.extend(expression(&format!(".{name}"))?);
        } else {
            self.nodes.push(Node::Array(slice(text)?));
        }
        Ok(())
    }

    fn filter(&mut self) -> Result<(), ParseError> {
        self.at += "[?(".len();
        let start = self.rest();
        let end = filter_end(start)?;
        self.at += end + 1;
        if !self.rest().starts_with(']') {
            return Err(ParseError::UnclosedFilter);
        }
        self.at += 1;
        let node = match comparison(&start[..end]) {
            None => Node::Filter {
                left: expression(&start[..end])?,
                operator: EXISTS.to_owned(),
                right: Vec::new(),
            },
            Some((left, operator, right)) => Node::Filter {
                left: expression(left)?,
                operator: operator.to_owned(),
                right: expression(right)?,
            },
        };
        self.nodes.push(node);
        Ok(())
    }
}

/// Where the `)` of a filter is: outside of its first pair of quotes.
fn filter_end(text: &str) -> Result<usize, ParseError> {
    let mut quote = None;
    let mut closed = false;
    let mut before = '(';
    for (at, character) in text.char_indices() {
        match character {
            '\n' => break,
            '"' | '\'' if quote.is_none() => quote = Some(character),
            '"' | '\'' if quote == Some(character) && before != '\\' => closed = true,
            ')' if quote.is_some() == closed => return Ok(at),
            _ => {}
        }
        before = character;
    }
    Err(ParseError::UnterminatedFilter)
}

/// Cuts `left OPERATOR right`; both sides have at least one character. The left side reaches as
/// far as it can, then the operator.
fn comparison(text: &str) -> Option<(&str, &str, &str)> {
    let is_operator = |c: char| "!<>=~".contains(c);
    let mut left = text
        .find(|c: char| "!<>=".contains(c))
        .unwrap_or(text.len());
    loop {
        if left == 0 {
            return None;
        }
        let tail = &text[left..];
        let run = tail.find(|c: char| !is_operator(c)).unwrap_or(tail.len());
        // Operator characters are single bytes, so the run may be cut anywhere.
        let operator = if run == tail.len() {
            run.saturating_sub(1)
        } else {
            run
        };
        if operator > 0 {
            return Some((&text[..left], &tail[..operator], &tail[operator..]));
        }
        left = text[..left].rfind('~')?;
    }
}

fn quoted_name(text: &str) -> Option<&str> {
    let name = text.strip_prefix('\'')?.strip_suffix('\'')?;
    (!name.contains('\'')).then_some(name)
}

fn slice(text: &str) -> Result<Slice, ParseError> {
    let invalid = || ParseError::Index(text.to_owned());
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() > 3 {
        return Err(invalid());
    }
    let number = |index: usize| match parts.get(index).copied().unwrap_or_default() {
        "" => Ok(None),
        part if part.starts_with('+') => Err(invalid()),
        part => part.parse::<i64>().map(Some).map_err(|_| invalid()),
    };
    let (start, end, step) = (number(0)?, number(1)?, number(2)?);
    let single = parts.len() == 1;
    let end = if single {
        Some(start.unwrap_or(0).wrapping_add(1))
    } else {
        end
    };
    Ok(Slice {
        start,
        end,
        single,
        step,
    })
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

fn is_terminator(character: char) -> bool {
    matches!(
        character,
        ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}'
    )
}

/// Resolves the escapes of a quoted text.
fn unquote(text: &str, quote: char) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut characters = text.char_indices().peekable();
    while let Some((_, character)) = characters.next() {
        if character == quote {
            return None;
        }
        let mut buffer = [0; 4];
        if character == '\\' {
            match escape(&mut characters, quote)? {
                Escaped::Byte(byte) => out.push(byte),
                Escaped::Character(c) => out.extend(c.encode_utf8(&mut buffer).bytes()),
            }
        } else {
            out.extend(character.encode_utf8(&mut buffer).bytes());
        }
    }
    String::from_utf8(out).ok()
}

enum Escaped {
    Byte(u8),
    Character(char),
}

fn escape(characters: &mut Peekable<CharIndices<'_>>, quote: char) -> Option<Escaped> {
    let (_, character) = characters.next()?;
    let simple = match character {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        '"' | '\'' if character == quote => character,
        'x' => {
            return u8::try_from(digits(characters, 2, 16, 0)?)
                .ok()
                .map(Escaped::Byte);
        }
        'u' => return char::from_u32(digits(characters, 4, 16, 0)?).map(Escaped::Character),
        'U' => return char::from_u32(digits(characters, 8, 16, 0)?).map(Escaped::Character),
        '0'..='7' => {
            let first = character.to_digit(8)?;
            return u8::try_from(digits(characters, 2, 8, first)?)
                .ok()
                .map(Escaped::Byte);
        }
        _ => return None,
    };
    Some(Escaped::Character(simple))
}

fn digits(
    characters: &mut Peekable<CharIndices<'_>>,
    count: usize,
    radix: u32,
    first: u32,
) -> Option<u32> {
    (0..count).try_fold(first, |value, _| {
        let digit = characters.next()?.1.to_digit(radix)?;
        value.checked_mul(radix)?.checked_add(digit)
    })
}
