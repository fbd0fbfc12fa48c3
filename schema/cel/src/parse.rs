//! From tokens to expressions, by precedence climbing.

use super::ast::{Expr, Kind, Macro, Operator, OptionalMacro};
use super::lexer::{RESERVED, Token, tokens};
use super::value::Value;
use super::{MAX_DEPTH, MAX_NESTING, Problem};

/// Binary operators with how tightly they bind; comparisons do not chain in meaning, but in grammar.
const OPERATORS: &[(&str, u8, Operator)] = &[
    ("==", 1, Operator::Equal),
    ("!=", 1, Operator::NotEqual),
    ("<", 1, Operator::Less),
    ("<=", 1, Operator::LessEqual),
    (">", 1, Operator::Greater),
    (">=", 1, Operator::GreaterEqual),
    ("+", 2, Operator::Add),
    ("-", 2, Operator::Subtract),
    ("*", 3, Operator::Multiply),
    ("/", 3, Operator::Divide),
    ("%", 3, Operator::Modulo),
];

/// Parses one expression.
pub(crate) fn parse(text: &str) -> Result<Expr, Problem> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        nesting: 0,
    };
    let root = parser.expression()?;
    if *parser.peek() != Token::End {
        return Err(parser.unexpected("<EOF>"));
    }
    Ok(root)
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    nesting: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].1
    }

    fn place(&self) -> usize {
        self.tokens[self.at].0
    }

    fn advance(&mut self) -> Token {
        let token = self.tokens[self.at].1.clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn takes(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(s) if *s == symbol);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), Problem> {
        if self.takes(symbol) {
            Ok(())
        } else {
            Err(self.unexpected(symbol))
        }
    }

    fn unexpected(&self, wanted: &str) -> Problem {
        let found = match self.peek() {
            Token::End => "<EOF>".to_owned(),
            Token::Symbol(symbol) => (*symbol).to_owned(),
            Token::Identifier(word) => word.clone(),
            _ => "literal".to_owned(),
        };
        self.problem(format!(
            "Syntax error: mismatched input '{found}' expecting {wanted}"
        ))
    }

    fn problem(&self, problem: impl Into<String>) -> Problem {
        Problem {
            at: self.place(),
            problem: problem.into(),
        }
    }

    fn make(&self, at: usize, kind: Kind) -> Result<Expr, Problem> {
        let depth = kind
            .children()
            .iter()
            .map(|child| child.depth)
            .max()
            .unwrap_or(0)
            + 1;
        if depth > MAX_DEPTH {
            return Err(self.problem("expression recursion limit exceeded"));
        }
        Ok(Expr { at, depth, kind })
    }

    fn expression(&mut self) -> Result<Expr, Problem> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(self.problem("expression recursion limit exceeded"));
        }
        let condition = self.logical("||")?;
        let at = self.place();
        let result = if self.takes("?") {
            let yes = self.logical("||")?;
            self.expect(":")?;
            let no = self.expression()?;
            self.make(
                at,
                Kind::Conditional(Box::new(condition), Box::new(yes), Box::new(no)),
            )
        } else {
            Ok(condition)
        };
        self.nesting -= 1;
        result
    }

    /// A chain of `||` or `&&` is one expression, so that long chains are not deep.
    fn logical(&mut self, symbol: &'static str) -> Result<Expr, Problem> {
        let or = symbol == "||";
        let at = self.place();
        let mut parts = vec![if or {
            self.logical("&&")?
        } else {
            self.binary(1)?
        }];
        while self.takes(symbol) {
            parts.push(if or {
                self.logical("&&")?
            } else {
                self.binary(1)?
            });
        }
        match parts.pop() {
            Some(single) if parts.is_empty() => Ok(single),
            Some(last) => {
                parts.push(last);
                self.make(
                    at,
                    if or {
                        Kind::Or(parts)
                    } else {
                        Kind::And(parts)
                    },
                )
            }
            None => Err(self.unexpected("an expression")),
        }
    }

    fn operator(&self) -> Option<(u8, Operator)> {
        match self.peek() {
            Token::Identifier(word) if word == "in" => Some((1, Operator::In)),
            Token::Symbol(symbol) => OPERATORS
                .iter()
                .find(|(s, ..)| s == symbol)
                .map(|(_, p, o)| (*p, *o)),
            _ => None,
        }
    }

    fn binary(&mut self, minimum: u8) -> Result<Expr, Problem> {
        let mut left = self.unary()?;
        while let Some((precedence, operator)) = self.operator().filter(|(p, _)| *p >= minimum) {
            let at = self.place();
            self.advance();
            let right = self.binary(precedence + 1)?;
            left = self.make(at, Kind::Binary(operator, Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, Problem> {
        let at = self.place();
        let mut signs = 0;
        for (symbol, not) in [("!", true), ("-", false)] {
            while self.takes(symbol) {
                signs += 1;
                if !not
                    && signs == 1
                    && let Some(literal) = self.negative()?
                {
                    return self.member(literal);
                }
            }
            if signs > 0 {
                let operand = self.primary()?;
                let operand = self.member(operand)?;
                // Two of a kind cancel out, but the operand's type is still checked.
                let wrap = |operand| {
                    if not {
                        Kind::Not(operand)
                    } else {
                        Kind::Negate(operand)
                    }
                };
                let once = self.make(at, wrap(Box::new(operand)))?;
                return if signs % 2 == 1 {
                    Ok(once)
                } else {
                    self.make(at, wrap(Box::new(once)))
                };
            }
        }
        let primary = self.primary()?;
        self.member(primary)
    }

    /// A number with the sign that was just read.
    fn negative(&mut self) -> Result<Option<Expr>, Problem> {
        let at = self.place();
        let value = match self.peek() {
            Token::Int(text) => match format!("-{text}").parse() {
                Ok(value) => Value::Int(value),
                Err(_) => return Err(self.problem("invalid int literal")),
            },
            Token::Double(value) => Value::Double(-value),
            _ => return Ok(None),
        };
        self.advance();
        self.make(at, Kind::Literal(value)).map(Some)
    }

    fn primary(&mut self) -> Result<Expr, Problem> {
        let at = self.place();
        let kind = match self.advance() {
            Token::Int(text) => match text.parse() {
                Ok(value) => Kind::Literal(Value::Int(value)),
                Err(_) => {
                    return Err(Problem {
                        at,
                        problem: "invalid int literal".to_owned(),
                    });
                }
            },
            Token::Uint(value) => Kind::Literal(Value::Uint(value)),
            Token::Double(value) => Kind::Literal(Value::Double(value)),
            Token::String(text) => Kind::Literal(Value::from(text)),
            Token::Bytes(bytes) => Kind::Literal(Value::Bytes(bytes.into())),
            Token::Symbol("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Symbol("[") => self.list()?,
            Token::Symbol("{") => self.map()?,
            Token::Symbol(".") if matches!(self.peek(), Token::Identifier(_)) => {
                return self.primary();
            }
            Token::Identifier(word) => return self.word(at, word),
            _ => {
                self.at = self
                    .tokens
                    .iter()
                    .position(|(place, _)| *place == at)
                    .unwrap_or(self.at);
                return Err(self.unexpected("an expression"));
            }
        };
        self.make(at, kind)
    }

    fn word(&mut self, at: usize, word: String) -> Result<Expr, Problem> {
        match word.as_str() {
            "true" => return self.make(at, Kind::Literal(Value::Bool(true))),
            "false" => return self.make(at, Kind::Literal(Value::Bool(false))),
            "null" => return self.make(at, Kind::Literal(Value::Null)),
            "in" => {
                return Err(Problem {
                    at,
                    problem: "Syntax error: extraneous input 'in'".to_owned(),
                });
            }
            word if RESERVED.contains(&word) => {
                let problem = format!("Syntax error: reserved identifier: {word}");
                return Err(Problem { at, problem });
            }
            _ => {}
        }
        // A call stands where its bracket opens.
        let open = self.place();
        if !self.takes("(") {
            return self.make(at, Kind::Identifier(word));
        }
        let at = open;
        let mut arguments = self.arguments()?;
        if word == "has" {
            let select = (arguments.len() == 1).then(|| arguments.pop()).flatten();
            return match select.map(|argument| argument.kind) {
                Some(Kind::Select {
                    operand,
                    field,
                    optional: false,
                }) => self.make(at, Kind::Has { operand, field }),
                _ => Err(Problem {
                    at,
                    problem: "invalid argument to has() macro".to_owned(),
                }),
            };
        }
        self.make(
            at,
            Kind::Call {
                target: None,
                function: word,
                arguments,
            },
        )
    }

    /// What follows a primary: selections, indexes and calls.
    fn member(&mut self, mut operand: Expr) -> Result<Expr, Problem> {
        loop {
            let at = self.place();
            if self.takes("[") {
                let optional = self.takes("?");
                let index = Box::new(self.expression()?);
                self.expect("]")?;
                operand = self.make(
                    at,
                    Kind::Index {
                        operand: Box::new(operand),
                        index,
                        optional,
                    },
                )?;
            } else if self.takes(".") {
                let optional = self.takes("?");
                let Token::Identifier(field) = self.peek().clone() else {
                    return Err(self.unexpected("a field"));
                };
                self.advance();
                let open = self.place();
                operand = if !optional && self.takes("(") {
                    let arguments = self.arguments()?;
                    self.call(open, operand, field, arguments)?
                } else {
                    let operand = Box::new(operand);
                    self.make(
                        at,
                        Kind::Select {
                            operand,
                            field,
                            optional,
                        },
                    )?
                };
            } else if matches!(self.peek(), Token::Symbol("{")) {
                return Err(self.problem("message literals are not supported"));
            } else {
                return Ok(operand);
            }
        }
    }

    fn call(
        &mut self,
        at: usize,
        target: Expr,
        function: String,
        mut arguments: Vec<Expr>,
    ) -> Result<Expr, Problem> {
        let over = match (function.as_str(), arguments.len()) {
            ("all", 2) => Some(Macro::All),
            ("exists", 2) => Some(Macro::Exists),
            ("exists_one" | "existsOne", 2) => Some(Macro::ExistsOne),
            ("filter", 2) => Some(Macro::Filter),
            ("map", 2 | 3) => Some(Macro::Map),
            _ => None,
        };
        let optional = match (function.as_str(), arguments.len()) {
            ("optMap", 2) => Some(OptionalMacro::Map),
            ("optFlatMap", 2) => Some(OptionalMacro::FlatMap),
            _ => None,
        };
        if over.is_none() && optional.is_none() {
            let target = Some(Box::new(target));
            return self.make(
                at,
                Kind::Call {
                    target,
                    function,
                    arguments,
                },
            );
        }
        let Kind::Identifier(variable) = arguments.remove(0).kind else {
            return Err(Problem {
                at,
                problem: "argument must be a simple name".to_owned(),
            });
        };
        let kind = match (over, optional, arguments.pop()) {
            (Some(kind), _, Some(last)) => {
                arguments.push(last);
                Kind::Over {
                    kind,
                    range: Box::new(target),
                    variable,
                    bodies: arguments,
                }
            }
            (None, Some(kind), Some(body)) => Kind::Optional {
                kind,
                target: Box::new(target),
                variable,
                body: Box::new(body),
            },
            _ => return Err(self.unexpected("an expression")),
        };
        self.make(at, kind)
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, Problem> {
        let mut arguments = Vec::new();
        if self.takes(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression()?);
            if !self.takes(",") {
                self.expect(")")?;
                return Ok(arguments);
            }
        }
    }

    fn list(&mut self) -> Result<Kind, Problem> {
        let mut items = Vec::new();
        while !self.takes("]") {
            let optional = self.takes("?");
            items.push((optional, self.expression()?));
            if !self.takes(",") {
                self.expect("]")?;
                break;
            }
        }
        Ok(Kind::List(items))
    }

    fn map(&mut self) -> Result<Kind, Problem> {
        let mut members = Vec::new();
        while !self.takes("}") {
            let optional = self.takes("?");
            let key = self.expression()?;
            self.expect(":")?;
            members.push((optional, key, self.expression()?));
            if !self.takes(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(Kind::Map(members))
    }
}
