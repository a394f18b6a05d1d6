#include "dsrasq/report/markup.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dsrasq/formats/test_folder.h"

namespace dsrasq::report {
namespace {

TEST(MarkupTest, NamesAreData) {
  EXPECT_EQ(escape("<b>&\"'"), "&lt;b&gt;&amp;&quot;&#39;");
  EXPECT_EQ(escape("\xC3\xA9\n"), "\xC3\xA9\n");
  Markup out;
  out.element("a", {{"href", "x\" onclick=\"y"}}, "</a><script>");
  EXPECT_EQ(out.take(), "<a href=\"x&quot; onclick=&quot;y\">&lt;/a&gt;&lt;script&gt;</a>\n");
}

TEST(MarkupTest, WhatXmlForbidsIsReplaced) {
  EXPECT_EQ(escape(std::string_view("a\0b", 3)),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(escape("\x1B[0m"), "\xEF\xBF\xBD[0m");
  EXPECT_EQ(escape("\xFF"), "\xEF\xBF\xBD");
  EXPECT_EQ(escape("\xC3"), "\xEF\xBF\xBD");
}

TEST(MarkupTest, ElementsCloseInOrder) {
  Markup out;
  out.open("g", {{"class", "c1"}});
  out.leaf("line", {{"x1", "0"}});
  out.close();
  EXPECT_EQ(out.take(), "<g class=\"c1\"><line x1=\"0\"/>\n</g>\n");
  Markup open;
  open.open("g");
  EXPECT_HAS(error_text([&] { open.take(); }, ErrorCode::kInternal), "<g> is not closed");
  Markup closed;
  EXPECT_HAS(error_text([&] { closed.close(); }, ErrorCode::kInternal), "no element is open");
}

TEST(MarkupTest, LongTextsAreCutBetweenCharacters) {
  EXPECT_EQ(shortened("dsrasq", 6), "dsrasq");
  EXPECT_EQ(shortened("dsrasq!", 6), "dsras\xE2\x80\xA6");
  EXPECT_EQ(shortened("\xC3\xA9\xC3\xA9\xC3\xA9", 2), "\xC3\xA9\xE2\x80\xA6");
}

TEST(MarkupTest, LengthsAreShort) {
  EXPECT_EQ(px(12), "12");
  EXPECT_EQ(px(0.5), "0.5");
  EXPECT_EQ(px(1.0 / 3), "0.33");
  EXPECT_EQ(px(-0.001), "0");
  EXPECT_HAS(error_text([] { px(std::nan("")); }, ErrorCode::kInternal), "a length is");
}

TEST(MarkupTest, WiderTextsAreWider) {
  EXPECT_LT(text_width("iii", 12), text_width("aaa", 12));
  EXPECT_LT(text_width("aaa", 12), text_width("WWW", 12));
  EXPECT_DOUBLE_EQ(2 * text_width("dsrasq", 6), text_width("dsrasq", 12));
}

}  // namespace
}  // namespace dsrasq::report
