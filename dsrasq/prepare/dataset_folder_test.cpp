#include "dsrasq/prepare/dataset_folder.h"

#include "dsrasq/data/test_files.h"

namespace dsrasq::prepare {
namespace {

namespace fs = std::filesystem;
using data::contains;
using Json = nlohmann::ordered_json;

class DatasetFolderTest : public data::FilesTest {
 protected:
  fs::path out() const { return folder_ / "out"; }
  static Json settings(int length = 0) { return {{"kind", "qa"}, {"length", length}}; }

  static std::string misuse(const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kInvalidArgument) << e.what();
      return e.what();
    }
    return "no throw";
  }
};

TEST_F(DatasetFolderTest, AFinishedFolderHasItsManifest) {
  DatasetFolder folder(out(), settings());
  EXPECT_FALSE(fs::exists(out()));
  EXPECT_FALSE(folder.finished());
  folder.begin();
  EXPECT_TRUE(fs::exists(folder.parts()));
  write("out/a.tokens", "tokens");
  const Json manifest = folder.finish({{"records", 3}}, {"a.tokens"});
  EXPECT_FALSE(fs::exists(folder.parts()));
  EXPECT_EQ(manifest["settings"], settings());
  EXPECT_EQ(manifest["files"][0]["bytes"], 6);
  EXPECT_EQ(DatasetFolder(out(), settings()).finished(), manifest);
}

TEST_F(DatasetFolderTest, FilesThatChangedAreToBeMadeAgain) {
  fs::create_directory(out());
  write("out/other", "x");
  EXPECT_TRUE(contains(misuse([&] { DatasetFolder(out(), settings()); }),
                       "out holds something that is no data set of this program"));
  fs::remove(out() / "other");
  DatasetFolder folder(out(), settings());
  folder.begin();
  write("out/a.tokens", "tokens");
  folder.finish({}, {"a.tokens"});
  write("out/a.tokens", "changed");
  EXPECT_FALSE(DatasetFolder(out(), settings()).finished());
}

TEST_F(DatasetFolderTest, AFolderWithoutAPartIsRemovedAgain) {
  for (const bool has_part : {false, true}) {
    {
      DatasetFolder folder(out(), settings());
      folder.begin();
      if (has_part) write("out/parts/0.tokens", "tokens");
    }
    EXPECT_EQ(fs::exists(out()), has_part);
  }
}

TEST_F(DatasetFolderTest, OtherOptionsAreRefusedWhileItIsMadeAndAfter) {
  DatasetFolder folder(out(), settings());
  folder.begin();
  EXPECT_EQ(misuse([&] { DatasetFolder(out(), settings(512)); }), "no throw");  // nothing is lost
  write("out/parts/0.tokens", "tokens");
  const char* wanted = "holds a data set made from other options: length was 0, not 512";
  EXPECT_TRUE(contains(misuse([&] { DatasetFolder(out(), settings(512)); }), wanted));
  EXPECT_EQ(misuse([&] { DatasetFolder(out(), settings()); }), "no throw");
  folder.finish({}, {});
  EXPECT_TRUE(contains(misuse([&] { DatasetFolder(out(), settings(512)); }), wanted));
  Json files = settings();
  files["inputs"] = {{{"file", "a"}}};
  EXPECT_TRUE(contains(misuse([&] { DatasetFolder(out(), files); }), "made from other inputs;"));
}

TEST_F(DatasetFolderTest, ADamagedManifestIsNamed) {
  fs::create_directory(out());
  write("out/manifest.json", "{");
  EXPECT_TRUE(
      contains(message_of([&] { DatasetFolder(out(), settings()); }), "manifest.json is damaged"));
}

}  // namespace
}  // namespace dsrasq::prepare
