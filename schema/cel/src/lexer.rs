//! Tokens.

use super::Problem;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Identifier(String),
    Int(String),
    Uint(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
    /// Operators and brackets.
    Symbol(&'static str),
    End,
}

/// Symbols, longer ones before those they begin with.
const SYMBOLS: &[&str] = &[
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}",
];

/// Words that name nothing.
pub(crate) const RESERVED: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// The tokens of a text with their places; the last is [`Token::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Problem> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip();
        let at = lexer.at;
        let token = lexer.next()?;
        let end = token == Token::End;
        tokens.push((at, token));
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n', '\u{c}']);
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn problem(&self, problem: impl Into<String>) -> Problem {
        Problem {
            at: self.at,
            problem: problem.into(),
        }
    }

    fn next(&mut self) -> Result<Token, Problem> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(Token::End);
        };
        if let Some((raw, bytes, quote)) = string_prefix(rest) {
            return self.string(raw, bytes, quote);
        }
        if first == '_' || first.is_ascii_alphabetic() {
            let is_word = |c: char| c == '_' || c.is_ascii_alphanumeric();
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            self.at += end;
            return Ok(Token::Identifier(rest[..end].to_owned()));
        }
        let fraction = first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit());
        if first.is_ascii_digit() || fraction {
            return self.number();
        }
        match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            Some(symbol) => {
                self.at += symbol.len();
                Ok(Token::Symbol(symbol))
            }
            None => Err(self.problem(format!(
                "Syntax error: token recognition error at: '{first}'"
            ))),
        }
    }

    fn number(&mut self) -> Result<Token, Problem> {
        let rest = self.rest();
        let invalid = |lexer: &Self| lexer.problem("invalid number");
        if rest.starts_with("0x") || rest.starts_with("0X") {
            let digits = rest[2..]
                .find(|c: char| !c.is_ascii_hexdigit())
                .map_or(rest.len(), |n| n + 2);
            let value = u64::from_str_radix(&rest[2..digits], 16).map_err(|_| invalid(self))?;
            return Ok(self.integer(digits, value.to_string()));
        }
        let bytes = rest.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let whole = digits(0);
        let mut end = whole;
        if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent > end + 1 + sign {
                end = exponent;
            }
        }
        if end == whole {
            return Ok(self.integer(whole, rest[..whole].to_owned()));
        }
        let value = rest[..end].parse().map_err(|_| invalid(self))?;
        self.at += end;
        Ok(Token::Double(value))
    }

    /// Whole numbers stay texts: `-9223372036854775808` fits only with its sign.
    fn integer(&mut self, end: usize, text: String) -> Token {
        let unsigned = self.rest()[end..].starts_with(['u', 'U']);
        match (unsigned, text.parse::<u64>()) {
            (true, Ok(value)) => {
                self.at += end + 1;
                Token::Uint(value)
            }
            _ => {
                self.at += end;
                Token::Int(text)
            }
        }
    }

    fn string(&mut self, raw: bool, bytes: bool, quote: &'static str) -> Result<Token, Problem> {
        let rest = self.rest();
        let start = rest.find(quote).unwrap_or(0) + quote.len();
        let body = &rest[start..];
        let mut out = Vec::new();
        let mut at = 0;
        loop {
            let tail = &body[at..];
            let Some(next) = tail.chars().next() else {
                return Err(self.problem("Syntax error: unterminated string"));
            };
            if tail.starts_with(quote) {
                break;
            }
            if next == '\n' && quote.len() == 1 {
                return Err(self.problem("Syntax error: unterminated string"));
            }
            if next == '\\' && !raw {
                let (length, escaped) = escape(tail, bytes)
                    .ok_or_else(|| self.problem("Syntax error: invalid escape"))?;
                out.extend(escaped);
                at += length;
            } else {
                out.extend(&tail.as_bytes()[..next.len_utf8()]);
                at += next.len_utf8();
            }
        }
        let token = if bytes {
            Token::Bytes(out)
        } else {
            Token::String(String::from_utf8(out).map_err(|_| self.problem("invalid UTF-8"))?)
        };
        self.at += start + at + quote.len();
        Ok(token)
    }
}

fn string_prefix(text: &str) -> Option<(bool, bool, &'static str)> {
    let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'');
    let prefix = text.bytes().take(3).position(|byte| is_quote(&byte))?;
    let (raw, bytes) = match text[..prefix].to_ascii_lowercase().as_str() {
        "" => (false, false),
        "r" => (true, false),
        "b" => (false, true),
        "br" | "rb" => (true, true),
        _ => return None,
    };
    let quote = ["\"\"\"", "'''", "\"", "'"]
        .into_iter()
        .find(|q| text[prefix..].starts_with(q))?;
    Some((raw, bytes, quote))
}

/// Length of an escape and the bytes that it stands for.
fn escape(text: &str, bytes: bool) -> Option<(usize, Vec<u8>)> {
    let code = text.chars().nth(1)?;
    let simple = match code {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' | '?' | '"' | '\'' | '`' => u8::try_from(code).ok()?,
        'x' | 'X' => return number(text, 2, 2, 16, bytes),
        'u' if !bytes => return number(text, 2, 4, 16, false),
        'U' if !bytes => return number(text, 2, 8, 16, false),
        '0'..='3' => return number(text, 1, 3, 8, bytes),
        _ => return None,
    };
    Some((2, vec![simple]))
}

fn number(
    text: &str,
    start: usize,
    count: usize,
    radix: u32,
    byte: bool,
) -> Option<(usize, Vec<u8>)> {
    let digits = text.get(start..start + count)?;
    let value = u32::from_str_radix(digits, radix).ok()?;
    let bytes = if byte {
        vec![u8::try_from(value).ok()?]
    } else {
        char::from_u32(value)?.to_string().into_bytes()
    };
    Some((start + count, bytes))
}
