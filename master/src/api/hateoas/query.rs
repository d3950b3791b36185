//! The queries that clients search with: `portal_type:"Instance Tree" AND validation_state:validated AND title:="NAME"`. Pure.
//! Clients do not escape quotes in a name: a quoted text ends at a quote that ends the query or that `AND` follows.

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) portal_types: Vec<String>,
    pub(super) title: Option<String>,
    pub(super) reference: Option<String>,
    /// The tree's title.
    pub(super) tree: Option<String>,
    /// The computer's reference.
    pub(super) computer: Option<String>,
}

/// A query that nobody can answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueryError {
    #[error(
        "the query says nothing at `{0}`: it must be `key:\"value\"`, more of them joined by ` AND `"
    )]
    Malformed(String),
    #[error("this master does not know the key `{0}` of the query")]
    UnknownKey(String),
    #[error("nothing is `{0}` here: documents are validated")]
    UnknownState(String),
}

pub(super) fn parse(text: &str) -> Result<Query, QueryError> {
    let mut query = Query::default();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let malformed = || QueryError::Malformed(rest.to_owned());
        let (key, after) = rest.split_once(':').ok_or_else(malformed)?;
        let after = after.strip_prefix('=').unwrap_or(after);
        let (values, next) = values(after).ok_or_else(malformed)?;
        let one = || values.first().cloned().ok_or_else(malformed);
        match key.trim() {
            "portal_type" => query.portal_types.clone_from(&values),
            "validation_state" if one()? == "validated" => {}
            "validation_state" => return Err(QueryError::UnknownState(one()?)),
            "title" => query.title = Some(one()?),
            "reference" => query.reference = Some(one()?),
            "default_specialise_title" => query.tree = Some(one()?),
            "default_aggregate_reference" => query.computer = Some(one()?),
            other => return Err(QueryError::UnknownKey(other.to_owned())),
        }
        rest = next;
    }
    Ok(query)
}

/// Reads `"text"`, `("text", "text")` or `word`, and returns what follows the next ` AND `.
fn values(text: &str) -> Option<(Vec<String>, &str)> {
    if let Some(list) = text.strip_prefix('(') {
        let (inside, rest) = list.split_once(')')?;
        let values = inside
            .split(',')
            .map(|it| it.trim().trim_matches('"').to_owned())
            .collect();
        return Some((values, after_and(rest)?));
    }
    if let Some(quoted) = text.strip_prefix('"') {
        return match quoted.find("\" AND ") {
            Some(end) => Some((vec![quoted[..end].to_owned()], &quoted[end + 6..])),
            None => Some((vec![quoted.strip_suffix('"')?.to_owned()], "")),
        };
    }
    match text.split_once(" AND ") {
        Some((word, rest)) => Some((vec![word.to_owned()], rest)),
        None => Some((vec![text.to_owned()], "")),
    }
}

fn after_and(rest: &str) -> Option<&str> {
    if rest.is_empty() {
        return Some("");
    }
    rest.strip_prefix(" AND ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queries_of_the_original_client_are_understood() {
        let trees = parse("portal_type:\"Instance Tree\" AND validation_state:validated").unwrap();
        assert_eq!(trees.portal_types, ["Instance Tree"]);
        let one = parse(
            "portal_type:\"Instance Tree\" AND validation_state:validated AND title:=\"my \"best\" site\"",
        )
        .unwrap();
        assert_eq!(one.title.as_deref(), Some("my \"best\" site"));
        let node = parse(
            "portal_type:\"Compute Node\" AND validation_state:validated AND reference:=\"COMP-1\"",
        )
        .unwrap();
        assert_eq!(node.reference.as_deref(), Some("COMP-1"));
        let members = parse(
            "portal_type:(\"Software Instance\", \"Slave Instance\") AND validation_state:validated AND default_specialise_title:=\"T\"",
        )
        .unwrap();
        assert_eq!(
            members.portal_types,
            ["Software Instance", "Slave Instance"]
        );
        assert_eq!(members.tree.as_deref(), Some("T"));
    }

    #[test]
    fn others_are_refused_in_words() {
        assert_eq!(
            parse("planet:\"moon\"").unwrap_err().to_string(),
            "this master does not know the key `planet` of the query"
        );
        assert!(matches!(parse("anything"), Err(QueryError::Malformed(_))));
        assert!(matches!(parse("title:\"x"), Err(QueryError::Malformed(_))));
        assert!(matches!(
            parse("portal_type:(\"a\""),
            Err(QueryError::Malformed(_))
        ));
        assert!(matches!(
            parse("validation_state:draft"),
            Err(QueryError::UnknownState(_))
        ));
    }
}
