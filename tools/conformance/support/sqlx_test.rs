//! What sqlx's own tests expect of their helper crate, which the published archive lacks.

use sqlx::{Connection, Database};

/// Nothing: the environment is ready when the tests start.
pub fn setup_if_needed() {}

/// A connection to the server that DATABASE_URL names.
pub async fn new<DB: Database>() -> anyhow::Result<DB::Connection> {
    Ok(DB::Connection::connect(&std::env::var("DATABASE_URL")?).await?)
}

/// Two tests for a type: an expression has the value when it is text and when it is compared with a parameter and
/// sent back in binary.
#[macro_export]
macro_rules! test_type {
    ($name:ident<$ty:ty>($db:ident, $sql:literal, $($text:literal == $value:expr),+ $(,)?)) => {
        paste::item! {
            #[sqlx_macros::test]
            async fn [<prepared_ $name>]() -> anyhow::Result<()> {
                use sqlx::Row as _;
                let mut connection = $crate::new::<$db>().await?;
                $(
                    let query = $sql.replace("{0}", $text);
                    let row = sqlx::query(&query).bind($value).bind($value).fetch_one(&mut connection).await?;
                    let equal: i32 = row.try_get(0)?;
                    let (selected, returned): ($ty, $ty) = (row.try_get(1)?, row.try_get(2)?);
                    assert_eq!(equal, 1, "{query}");
                    assert_eq!($value, selected, "{query}");
                    assert_eq!($value, returned, "{query}");
                )+
                Ok(())
            }

            #[sqlx_macros::test]
            async fn [<unprepared_ $name>]() -> anyhow::Result<()> {
                use sqlx::{Executor as _, Row as _};
                let mut connection = $crate::new::<$db>().await?;
                $(
                    let query = format!("SELECT {}", $text);
                    let selected: $ty = connection.fetch_one(&*query).await?.try_get(0)?;
                    assert_eq!($value, selected, "{query}");
                )+
                Ok(())
            }
        }
    };
    ($name:ident<$ty:ty>($db:ident, $($text:literal == $value:expr),+ $(,)?)) => {
        $crate::test_type!($name<$ty>(
            $db, "SELECT CAST({0} <=> ? AS SIGNED INTEGER), {0} AS _2, ? AS _3", $($text == $value),+
        ));
    };
    ($name:ident($db:ident, $($text:literal == $value:expr),+ $(,)?)) => {
        $crate::test_type!($name<$name>($db, $($text == $value),+));
    };
}
