"""WordPress: its installer, posts, search, comments, export, all through its pages as a browser asks for them."""

import json
import re
import shutil

import pytest

import web

CONFIG = """<?php
define('DB_NAME', 'wordpress');
define('DB_USER', 'root');
define('DB_PASSWORD', '');
define('DB_HOST', '127.0.0.1:{port}');
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
define('DISABLE_WP_CRON', true);
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('WP_DEBUG', true);
define('WP_DEBUG_DISPLAY', false);
define('WP_DEBUG_LOG', '{log}');
foreach (['AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY', 'AUTH_SALT', 'SECURE_AUTH_SALT',
          'LOGGED_IN_SALT', 'NONCE_SALT'] as $name) define($name, "not secret $name");
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
"""
PASSWORD = "a long password of words"


@pytest.fixture(scope="module")
def log(scratch):
    return scratch / "debug.log"


@pytest.fixture(scope="module")
def site(port, packages, scratch, cursor, log):
    """An installed WordPress, seen by its administrator."""
    root = packages / "usr/share/wordpress"
    shutil.copytree(packages / "var/lib/wordpress/wp-content", root / "wp-content", dirs_exist_ok=True,
                    ignore_dangling_symlinks=True)
    (root / ".htaccess").unlink(missing_ok=True)
    (root / "wp-config.php").write_text(CONFIG.format(port=port, log=log))
    cursor.execute("CREATE DATABASE wordpress")
    with web.php_site(root, scratch) as site:
        assert "Welcome" in site.get("wp-admin/install.php")
        answer = site.post("wp-admin/install.php", {
            "weblog_title": "A river", "user_name": "ada", "admin_password": PASSWORD, "admin_password2": PASSWORD,
            "admin_email": "ada@example.org", "blog_public": "0", "language": "",
        }, step="2")
        assert "Success!" in answer, answer[-2000:]
        site.get("wp-login.php")
        answer = site.post("wp-login.php", {
            "log": "ada", "pwd": PASSWORD, "wp-submit": "Log In", "testcookie": "1",
            "redirect_to": f"{site.base}/wp-admin/",
        })
        assert "Dashboard" in answer, answer[-2000:]
        yield site


@pytest.fixture(scope="module")
def rest(site):
    """Calls the REST interface as the administrator's pages do."""
    nonce = site.get("wp-admin/admin-ajax.php", action="rest-nonce")

    def call(route, value=None, **query):
        if value is None:
            return json.loads(site.send("index.php", None, {"rest_route": route, **query}, {"X-WP-Nonce": nonce}))
        return site.post_json("index.php", value, {"X-WP-Nonce": nonce}, rest_route=route, **query)

    return call


@pytest.fixture(scope="module")
def post(rest):
    """A published post with a category and a tag."""
    category = rest("/wp/v2/categories", {"name": "Springs", "description": "Where water comes up"})
    tag = rest("/wp/v2/tags", {"name": "limestone"})
    return rest("/wp/v2/posts", {
        "title": "An aquifer below the hills", "content": "Water that fell as rain, žluťoučký 🌧 and sank.",
        "status": "publish", "categories": [category["id"]], "tags": [tag["id"]],
    })


def test_install_creates_the_tables(site, cursor):
    cursor.execute("SHOW TABLES FROM wordpress")
    tables = {row[0] for row in cursor.fetchall()}
    assert {"wp_posts", "wp_options", "wp_users", "wp_postmeta", "wp_terms", "wp_comments"} <= tables
    assert len(tables) == 12


@pytest.mark.parametrize("page, expected", [
    ("index.php", "At a Glance"), ("edit.php", "Hello world!"), ("users.php", "ada@example.org"),
    ("plugins.php", "Plugins"), ("themes.php", "Themes"), ("options-general.php", "A river"), ("tools.php", "Tools"),
    ("upload.php", "Media Library"), ("edit-comments.php", "A WordPress Commenter"), ("site-health.php", "Site Health"),
    ("edit-tags.php?taxonomy=category", "Uncategorized"), ("edit.php?post_type=page", "Sample Page"),
])
def test_page_of_the_administration_shows_its_content(site, page, expected):
    assert expected in site.get(f"wp-admin/{page}")


def test_post_is_shown_on_the_front_page_and_alone(site, post):
    assert "An aquifer below the hills" in site.get("")
    page = site.get("", p=post["id"])
    assert "žluťoučký" in page and ("🌧" in page or "1f327" in page)


def test_search_finds_a_post_by_its_words(site, post):
    assert "An aquifer below the hills" in site.get("", s="aquifer hills")
    assert "An aquifer below the hills" not in site.get("", s="volcano")


def test_archives_of_category_tag_month_and_author_show_the_post(site, post):
    year, month = post["date"].split("-")[:2]
    for query in ({"category_name": "springs"}, {"tag": "limestone"}, {"m": year + month}, {"author": "1"}):
        assert "An aquifer below the hills" in site.get("", **query), query


def test_edit_keeps_a_revision(rest, post):
    changed = rest(f"/wp/v2/posts/{post['id']}", {"title": "An aquifer below the hills, revised"})
    assert changed["title"]["raw"].endswith("revised")
    assert rest(f"/wp/v2/posts/{post['id']}/revisions")


def test_comment_is_kept_and_counted(site, rest, post, cursor):
    site.post("wp-comments-post.php", {"comment": "Deep water.", "comment_post_ID": post["id"], "comment_parent": "0"})
    assert [c for c in rest("/wp/v2/comments", post=post["id"]) if "Deep water." in c["content"]["rendered"]]
    cursor.execute("SELECT comment_count FROM wordpress.wp_posts WHERE ID = %s", (post["id"],))
    assert cursor.fetchone() == (1,)


def test_pages_of_many_posts_follow_each_other(rest):
    for number in range(25):
        rest("/wp/v2/posts", {"title": f"Well {number:02}", "content": "deep", "status": "publish"})
    pages = [rest("/wp/v2/posts", search="Well", orderby="title", order="asc", per_page="10", page=str(page))
             for page in (1, 2, 3)]
    titles = [post["title"]["rendered"] for page in pages for post in page]
    assert titles == [f"Well {number:02}" for number in range(25)]


def test_user_is_created_and_deleted(rest):
    user = rest("/wp/v2/users", {"username": "bob", "email": "bob@example.org", "password": PASSWORD, "roles": ["author"]})
    assert rest(f"/wp/v2/users/{user['id']}", context="edit")["roles"] == ["author"]
    assert rest(f"/wp/v2/users/{user['id']}", {"force": True, "reassign": 1}, _method="DELETE")["deleted"]


def test_post_goes_to_the_trash_and_is_deleted(rest):
    draft = rest("/wp/v2/posts", {"title": "A draft", "status": "draft"})
    assert rest(f"/wp/v2/posts/{draft['id']}", {"force": False}, _method="DELETE")["status"] == "trash"
    assert rest(f"/wp/v2/posts/{draft['id']}", {"force": True}, _method="DELETE")["deleted"]


def test_setting_is_changed(site, rest):
    assert rest("/wp/v2/settings", {"title": "Another river"})["title"] == "Another river"
    assert "Another river" in site.get("")


def test_export_holds_what_was_written(site, post):
    text = site.get("wp-admin/export.php", download="true", content="all")
    assert "An aquifer below the hills" in text and "Deep water." in text and re.search(r"<wp:term_slug>|limestone", text)


def test_feed_holds_the_posts(site, post):
    assert "<item>" in site.get("", feed="rss2")


def test_no_statement_failed(site, log):
    """WordPress writes each error of the database to its debug log."""
    text = log.read_text(errors="replace") if log.exists() else ""
    assert "WordPress database error" not in text, text[-3000:]
