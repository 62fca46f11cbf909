//! Which tables and columns are captured: include and exclude lists of regular expressions.
//!
//! Names are matched whole and without regard to the case of ASCII letters. A pattern on which the engine gives
//! up counts as included and as not excluded: too much rather than too little.

use model::TableId;

use crate::regex::JavaRegex;

/// A list of regular expressions, in its order.
#[derive(Debug, Clone)]
pub struct RegexList {
    patterns: Vec<JavaRegex>,
}

impl RegexList {
    /// Splits at commas (`\,` is a comma of an expression), drops blanks around items and compiles them.
    ///
    /// # Errors
    /// What is wrong with the first bad expression, in Java's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let patterns = split(text)?;
        let patterns = patterns.iter().map(|pattern| JavaRegex::new(pattern, true)).collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// The place of the first expression that matches.
    pub fn first_match(&self, name: &str) -> Option<usize> {
        self.patterns.iter().position(|pattern| pattern.matches(name).unwrap_or(true))
    }

    /// Whether an expression matches; one that gives up counts as `unknown`.
    pub fn matches(&self, name: &str, unknown: bool) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(name).unwrap_or(unknown))
    }

    /// The expressions as they were written.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().map(JavaRegex::pattern)
    }
}

/// Items of a list of expressions; `\,` stands for a comma, any other escape stays for the expression.
fn split(text: &str) -> Result<Vec<String>, String> {
    let mut items = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let Some(item) = items.last_mut() else { break };
        match c {
            ',' => items.push(String::new()),
            '\\' => match chars.next() {
                Some(',') => item.push(','),
                Some(other) => item.extend(['\\', other]),
                None => return Err("Unterminated escape sequence at the end of the string".to_owned()),
            },
            c => item.push(c),
        }
    }
    Ok(items.into_iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
}

/// An include or an exclude list; an include list that is given wins.
#[derive(Debug, Clone, Default)]
pub enum ListFilter {
    /// Everything.
    #[default]
    All,
    /// What the list matches.
    Include(RegexList),
    /// What the list does not match.
    Exclude(RegexList),
}

impl ListFilter {
    /// The filter of an include and an exclude list.
    pub fn new(include: Option<RegexList>, exclude: Option<RegexList>) -> Self {
        match (include, exclude) {
            (Some(include), _) => Self::Include(include),
            (None, Some(exclude)) => Self::Exclude(exclude),
            (None, None) => Self::All,
        }
    }

    /// Whether a name passes.
    pub fn passes(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Include(list) => list.matches(name, true),
            Self::Exclude(list) => !list.matches(name, false),
        }
    }

    /// Where in the include list the first match stands, to order by; 0 without an include list.
    pub fn rank(&self, name: &str) -> usize {
        match self {
            Self::Include(list) => list.first_match(name).unwrap_or(usize::MAX),
            Self::All | Self::Exclude(_) => 0,
        }
    }
}

/// Which tables are captured: database (or schema) and table have to pass.
#[derive(Debug, Clone, Default)]
pub struct TableFilter {
    /// On the database or schema.
    pub namespaces: ListFilter,
    /// On `namespace.table`.
    pub tables: ListFilter,
    /// Databases or schemas that are never captured, in lower case.
    pub builtin: &'static [&'static str],
}

impl TableFilter {
    /// Whether a table is captured.
    pub fn captures(&self, table: &TableId) -> bool {
        self.captures_namespace(table.namespace()) && self.tables.passes(&table.to_string())
    }

    /// Whether tables of a database or schema can be captured at all.
    pub fn captures_namespace(&self, namespace: &str) -> bool {
        !self.is_builtin(namespace) && self.namespaces.passes(namespace)
    }

    /// Whether a database or schema is one of the server's own that are left out.
    pub fn is_builtin(&self, namespace: &str) -> bool {
        self.builtin.iter().any(|builtin| builtin.eq_ignore_ascii_case(namespace))
    }

    /// Puts tables into the order of a snapshot: by the first matching item of the include list, then by name.
    pub fn sort(&self, tables: &mut [TableId]) {
        tables.sort_by_cached_key(|table| {
            let name = table.to_string();
            (self.tables.rank(&name), name)
        });
    }
}

/// Which columns of the captured tables are in the records' values; keys are not touched.
#[derive(Debug, Clone, Default)]
pub struct ColumnFilter {
    /// On `namespace.table.column`.
    pub columns: ListFilter,
}

impl ColumnFilter {
    /// Whether a column is in the value.
    pub fn keeps(&self, table: &TableId, column: &str) -> bool {
        matches!(self.columns, ListFilter::All) || self.columns.passes(&format!("{table}.{column}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> RegexList {
        RegexList::parse(text).unwrap()
    }

    #[test]
    fn items_are_split_at_commas_that_are_not_escaped() {
        let patterns = |text| split(text).unwrap();
        assert_eq!(patterns(r" a.b , c\,d ,,x\.y "), ["a.b", "c,d", r"x\.y"]);
        assert_eq!(patterns(r"a\\,b"), [r"a\\", "b"]);
        assert!(patterns(" ").is_empty());
        assert!(split(r"a\").is_err());
    }

    #[test]
    fn names_match_whole_and_without_case() {
        let tables = list(r"shop\.ORDERS,shop.o.*_x");
        assert_eq!(tables.first_match("shop.orders"), Some(0));
        assert_eq!(tables.first_match("Shop.Old_X"), Some(1));
        assert_eq!(tables.first_match("shop.orders2"), None);
        assert_eq!(tables.first_match("xshop.orders"), None);
    }

    #[test]
    fn include_wins_over_exclude_and_builtin_over_both() {
        let filter = TableFilter {
            namespaces: ListFilter::new(None, Some(list("secret"))),
            tables: ListFilter::new(Some(list(r"b\.t,.*\.a")), Some(list(".*"))),
            builtin: &["mysql", "sys"],
        };
        let id = |db: &str, t: &str| TableId::new(db, t);
        assert!(filter.captures(&id("b", "t")) && filter.captures(&id("x", "a")));
        assert!(!filter.captures(&id("secret", "a")) && !filter.captures(&id("MySQL", "a")));
        assert!(!filter.captures(&id("b", "u")));
        let mut tables = vec![id("a", "a"), id("z", "a"), id("b", "t"), id("b", "a")];
        filter.sort(&mut tables);
        let sorted: Vec<String> = tables.iter().map(ToString::to_string).collect();
        assert_eq!(sorted, ["b.t", "a.a", "b.a", "z.a"]);
    }

    #[test]
    fn columns_are_matched_with_database_and_table() {
        let filter = ColumnFilter { columns: ListFilter::new(None, Some(list(r"db\.t\.(secret|PIN)"))) };
        let table = TableId::new("db", "t");
        assert!(filter.keeps(&table, "id") && !filter.keeps(&table, "pin") && !filter.keeps(&table, "secret"));
    }
}
