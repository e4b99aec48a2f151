// Names: directories, rename, link and unlink, and what requests on the files behind them notice of it.
#include <dirent.h>
#include <stdio.h>

#include "absl/strings/str_cat.h"
#include "tests/conformance/file_system_fixture.h"

namespace aiolab {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Pair;

using NamespaceTest = FileSystemTest;
INSTANTIATE_ON_ALL_FILE_SYSTEMS(NamespaceTest);

// ---- mkdir and rmdir.

TEST_P(NamespaceTest, MkdirMakesAnEmptyDirectory) {
  ASSERT_EQ(MakeDir("d"), 0);
  EXPECT_THAT(Entries(Open(Path("d"), O_RDONLY | O_DIRECTORY)), ElementsAre(Pair(".", DT_DIR), Pair("..", DT_DIR)));
}

TEST_P(NamespaceTest, MkdirOfANameThatIsTakenIsEexist) {
  MakeFile("f");
  EXPECT_THAT(MakeDir("f"), FailsWith(EEXIST));
}

TEST_P(NamespaceTest, MkdirInAMissingDirectoryIsEnoent) { EXPECT_THAT(MakeDir("missing/d"), FailsWith(ENOENT)); }

TEST_P(NamespaceTest, MkdirBelowAFileIsEnotdir) {
  MakeFile("f");
  EXPECT_THAT(MakeDir("f/d"), FailsWith(ENOTDIR));
}

TEST_P(NamespaceTest, MkdirTakesASlashAtTheEnd) { EXPECT_EQ(MakeDir("d/"), 0); }

TEST_P(NamespaceTest, MkdirOfDotIsEexist) { EXPECT_THAT(MakeDir("."), FailsWith(EEXIST)); }

TEST_P(NamespaceTest, ANameOf255BytesIsTakenAndALongerOneIsEnametoolong) {
  EXPECT_EQ(MakeDir(std::string(255, 'n')), 0);
  EXPECT_THAT(MakeDir(std::string(256, 'n')), FailsWith(ENAMETOOLONG));
}

TEST_P(NamespaceTest, RmdirOfADirectoryWithAFileIsEnotempty) {
  ASSERT_EQ(MakeDir("d"), 0);
  MakeFile("d/f");
  EXPECT_THAT(Unlink("d", AT_REMOVEDIR), FailsWith(ENOTEMPTY));
}

TEST_P(NamespaceTest, RmdirOfAFileIsEnotdir) {
  MakeFile("f");
  EXPECT_THAT(Unlink("f", AT_REMOVEDIR), FailsWith(ENOTDIR));
}

TEST_P(NamespaceTest, RmdirOfDotIsEinvalAndOfDotDotEnotempty) {
  ASSERT_EQ(MakeDir("d"), 0);
  EXPECT_THAT(Unlink("d/.", AT_REMOVEDIR), FailsWith(EINVAL));
  EXPECT_THAT(Unlink("d/..", AT_REMOVEDIR), FailsWith(ENOTEMPTY));
}

TEST_P(NamespaceTest, RmdirOfTheRootIsEbusy) { EXPECT_THAT(Unlink("/", AT_REMOVEDIR), FailsWith(EBUSY)); }

TEST_P(NamespaceTest, NothingCanBeMadeInARemovedDirectory) {
  ASSERT_EQ(MakeDir("d"), 0);
  const int dir = Open(Path("d"), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(Unlink("d", AT_REMOVEDIR), 0);
  EXPECT_THAT(aio().openat(dir, "f", O_CREAT | O_RDWR, 0600), FailsWith(ENOENT));
  EXPECT_THAT(aio().mkdirat(dir, "e", 0700), FailsWith(ENOENT));
  char buffer[1024];
  EXPECT_THAT(aio().getdents64(dir, buffer, sizeof(buffer)), FailsWith(ENOENT));
}

// ---- unlink.

TEST_P(NamespaceTest, UnlinkOfADirectoryIsEisdir) {
  ASSERT_EQ(MakeDir("d"), 0);
  EXPECT_THAT(Unlink("d"), FailsWith(EISDIR));
}

TEST_P(NamespaceTest, UnlinkOfAMissingNameIsEnoent) { EXPECT_THAT(Unlink("missing"), FailsWith(ENOENT)); }

TEST_P(NamespaceTest, UnlinkOfAFileWithASlashBehindItIsEnotdir) {
  MakeFile("f");
  EXPECT_THAT(Unlink("f/"), FailsWith(ENOTDIR));
}

TEST_P(NamespaceTest, UnlinkWithAnUnknownFlagIsEinval) {
  MakeFile("f");
  EXPECT_THAT(Unlink("f", AT_SYMLINK_FOLLOW), FailsWith(EINVAL));
}

TEST_P(NamespaceTest, AnUnlinkedFileHasNoLinksAndItsContents) {
  const int file = MakeFile("f", "contents");
  ASSERT_EQ(Unlink("f"), 0);
  EXPECT_EQ(AttributesOf(file).st_nlink, 0u);
  EXPECT_EQ(ContentsOf(file), "contents");
}

TEST_P(NamespaceTest, RequestsOnAnUnlinkedFileReadAndWriteIt) {
  const int file = MakeFile("f");
  ASSERT_EQ(Unlink("f"), 0);
  iocb write = WriteOf(file, "contents");
  EXPECT_EQ(ResultOf(ctx_, &write), 8);
  char buf[16];
  iocb read = ReadOf(file, absl::MakeSpan(buf));
  EXPECT_EQ(ResultOf(ctx_, &read), 8);
}

TEST_P(NamespaceTest, ANewFileOfAnUnlinkedNameIsAnotherFile) {
  const int old_file = MakeFile("f", "old");
  ASSERT_EQ(Unlink("f"), 0);
  const int new_file = MakeFile("f", "new!");
  EXPECT_EQ(ContentsOf(old_file), "old");
  EXPECT_EQ(ContentsOf(new_file), "new!");
}

// The name goes, and the fd too, while the request is in flight: it still has the file.
TEST_P(NamespaceTest, ARequestKeepsAFileThatLosesItsNameAndItsFd) {
  const int file = MakeFile("f", std::string(8192, 'a'));
  const absl::Span<char> buf = AlignedBuffer(8192);
  iocb read = ReadOf(file, buf);
  ASSERT_EQ(SubmitOne(ctx_, &read), 1);
  ASSERT_EQ(Unlink("f"), 0);
  Close(file);
  EXPECT_THAT(ReapOne(ctx_), IsEvent(&read, 8192));
  EXPECT_EQ(std::string(buf.data(), buf.size()), std::string(8192, 'a'));
}

// ---- rename.

TEST_P(NamespaceTest, RenameReplacesAFile) {
  MakeFile("a", "a's");
  const int replaced = MakeFile("b", "b's");
  ASSERT_EQ(Rename("a", "b"), 0);
  EXPECT_FALSE(Exists("a"));
  EXPECT_EQ(Read("b"), "a's");
  EXPECT_EQ(AttributesOf(replaced).st_nlink, 0u);
}

TEST_P(NamespaceTest, RenameOfAMissingNameIsEnoent) { EXPECT_THAT(Rename("missing", "b"), FailsWith(ENOENT)); }

TEST_P(NamespaceTest, RenameReplacesAnEmptyDirectoryByADirectory) {
  ASSERT_EQ(MakeDir("a"), 0);
  MakeFile("a/f");
  ASSERT_EQ(MakeDir("b"), 0);
  EXPECT_EQ(Rename("a", "b"), 0);
  EXPECT_TRUE(Exists("b/f"));
}

TEST_P(NamespaceTest, RenameOntoADirectoryWithAFileIsEnotempty) {
  ASSERT_EQ(MakeDir("a"), 0);
  ASSERT_EQ(MakeDir("b"), 0);
  MakeFile("b/f");
  EXPECT_THAT(Rename("a", "b"), FailsWith(ENOTEMPTY));
}

TEST_P(NamespaceTest, RenameOfAFileOntoADirectoryIsEisdir) {
  MakeFile("f");
  ASSERT_EQ(MakeDir("d"), 0);
  EXPECT_THAT(Rename("f", "d"), FailsWith(EISDIR));
}

TEST_P(NamespaceTest, RenameOfADirectoryOntoAFileIsEnotdir) {
  MakeFile("f");
  ASSERT_EQ(MakeDir("d"), 0);
  EXPECT_THAT(Rename("d", "f"), FailsWith(ENOTDIR));
}

TEST_P(NamespaceTest, RenameOfADirectoryBelowItselfIsEinval) {
  ASSERT_EQ(MakeDir("d"), 0);
  ASSERT_EQ(MakeDir("d/e"), 0);
  EXPECT_THAT(Rename("d", "d/e/f"), FailsWith(EINVAL));
}

TEST_P(NamespaceTest, RenameOntoADirectoryAboveIsEnotempty) {
  ASSERT_EQ(MakeDir("d"), 0);
  ASSERT_EQ(MakeDir("d/e"), 0);
  EXPECT_THAT(Rename("d/e", "d"), FailsWith(ENOTEMPTY));
}

TEST_P(NamespaceTest, RenameOfDotIsEbusy) {
  ASSERT_EQ(MakeDir("d"), 0);
  EXPECT_THAT(Rename("d/.", "e"), FailsWith(EBUSY));
}

TEST_P(NamespaceTest, RenameOfAFileToANameWithASlashIsEnotdir) {
  MakeFile("f");
  EXPECT_THAT(Rename("f", "g/"), FailsWith(ENOTDIR));
}

TEST_P(NamespaceTest, RenameToAnotherFileSystemIsExdev) {
  MakeFile("f");
  const std::string other = PathElsewhere();
  EXPECT_THAT(Rename("f", other), FailsWith(EXDEV));
  EXPECT_TRUE(Exists("f"));
}

TEST_P(NamespaceTest, RenameBetweenTwoLinksOfOneFileDoesNothing) {
  MakeFile("a");
  ASSERT_EQ(Link("a", "b"), 0);
  EXPECT_EQ(Rename("a", "b"), 0);
  EXPECT_TRUE(Exists("a"));
  EXPECT_TRUE(Exists("b"));
}

TEST_P(NamespaceTest, RenameNoreplaceOntoANameThatIsTakenIsEexist) {
  MakeFile("a", "a's");
  MakeFile("b", "b's");
  EXPECT_THAT(Rename("a", "b", RENAME_NOREPLACE), FailsWith(EEXIST));
  EXPECT_EQ(Read("b"), "b's");
  EXPECT_EQ(Rename("a", "c", RENAME_NOREPLACE), 0);
}

TEST_P(NamespaceTest, RenameExchangeSwapsAFileAndADirectory) {
  MakeFile("f", "contents");
  ASSERT_EQ(MakeDir("d"), 0);
  MakeFile("d/inside");
  ASSERT_EQ(Rename("f", "d", RENAME_EXCHANGE), 0);
  EXPECT_EQ(Read("d"), "contents");
  EXPECT_TRUE(Exists("f/inside"));
}

TEST_P(NamespaceTest, RenameExchangeWithAMissingNameIsEnoent) {
  MakeFile("f");
  EXPECT_THAT(Rename("f", "missing", RENAME_EXCHANGE), FailsWith(ENOENT));
}

TEST_P(NamespaceTest, RenameWithBothFlagsIsEinval) {
  MakeFile("f");
  EXPECT_THAT(Rename("f", "g", RENAME_NOREPLACE | RENAME_EXCHANGE), FailsWith(EINVAL));
}

TEST_P(NamespaceTest, AnOpenDirectoryIsTheSameUnderItsNewName) {
  ASSERT_EQ(MakeDir("d"), 0);
  ASSERT_EQ(MakeDir("e"), 0);
  const int dir = Open(Path("d"), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(Rename("d", "e/d"), 0);
  Owned(aio().openat(dir, "f", O_CREAT | O_RDWR, 0600));
  EXPECT_TRUE(Exists("e/d/f"));
  Owned(aio().openat(dir, "../g", O_CREAT | O_RDWR, 0600));
  EXPECT_TRUE(Exists("e/g"));
}

TEST_P(NamespaceTest, AWriteInFlightGoesToTheRenamedFile) {
  const int file = MakeFile("a");
  iocb write = WriteOf(file, "contents");
  ASSERT_EQ(SubmitOne(ctx_, &write), 1);
  ASSERT_EQ(Rename("a", "b"), 0);
  EXPECT_THAT(ReapOne(ctx_), IsEvent(&write, 8));
  EXPECT_EQ(Read("b"), "contents");
}

// ---- Hard links.

TEST_P(NamespaceTest, ALinkIsTheSameFile) {
  const int file = MakeFile("a");
  ASSERT_EQ(Link("a", "b"), 0);
  iocb write = WriteOf(file, "contents");
  EXPECT_EQ(ResultOf(ctx_, &write), 8);
  EXPECT_EQ(Read("b"), "contents");
  EXPECT_EQ(AttributesOf(file).st_nlink, 2u);
}

TEST_P(NamespaceTest, ALinkToADirectoryIsEperm) {
  ASSERT_EQ(MakeDir("d"), 0);
  EXPECT_THAT(Link("d", "e"), FailsWith(EPERM));
}

TEST_P(NamespaceTest, ALinkOfANameThatIsTakenIsEexist) {
  MakeFile("a");
  MakeFile("b");
  EXPECT_THAT(Link("a", "b"), FailsWith(EEXIST));
}

TEST_P(NamespaceTest, ALinkOnAnotherFileSystemIsExdev) {
  MakeFile("a");
  EXPECT_THAT(Link("a", PathElsewhere()), FailsWith(EXDEV));
}

// ---- Symbolic links.

TEST_P(NamespaceTest, ASymbolicLinkIsFollowed) {
  MakeFile("f", "contents");
  ASSERT_EQ(Symlink("f", "link"), 0);
  EXPECT_EQ(Read("link"), "contents");
}

TEST_P(NamespaceTest, ASymbolicLinkInTheMiddleOfAPathIsFollowed) {
  ASSERT_EQ(MakeDir("d"), 0);
  MakeFile("d/f", "contents");
  ASSERT_EQ(Symlink(Path("d"), "link"), 0);
  EXPECT_EQ(Read("link/f"), "contents");
}

TEST_P(NamespaceTest, ReadlinkGivesAsMuchOfTheTargetAsFits) {
  ASSERT_EQ(Symlink("target", "link"), 0);
  char buf[16] = {};
  EXPECT_EQ(aio().readlinkat(AT_FDCWD, Path("link").c_str(), buf, sizeof(buf)), 6);
  EXPECT_EQ(std::string(buf), "target");
  EXPECT_EQ(aio().readlinkat(AT_FDCWD, Path("link").c_str(), buf, 3), 3);
  EXPECT_THAT(aio().readlinkat(AT_FDCWD, Path("link").c_str(), buf, 0), FailsWith(EINVAL));
}

TEST_P(NamespaceTest, ReadlinkOfAFileIsEinval) {
  MakeFile("f");
  char buf[16];
  EXPECT_THAT(aio().readlinkat(AT_FDCWD, Path("f").c_str(), buf, sizeof(buf)), FailsWith(EINVAL));
}

TEST_P(NamespaceTest, ALinkThatMayNotBeFollowedIsEloop) {
  MakeFile("f");
  ASSERT_EQ(Symlink("f", "link"), 0);
  EXPECT_THAT(OpenAt("link", O_RDONLY | O_NOFOLLOW), FailsWith(ELOOP));
}

TEST_P(NamespaceTest, ACircleOfLinksIsEloop) {
  ASSERT_EQ(Symlink("b", "a"), 0);
  ASSERT_EQ(Symlink("a", "b"), 0);
  EXPECT_THAT(OpenAt("a", O_RDONLY), FailsWith(ELOOP));
}

TEST_P(NamespaceTest, CreatingThroughADanglingLinkMakesItsTarget) {
  ASSERT_EQ(Symlink("target", "link"), 0);
  EXPECT_THAT(OpenAt("link", O_RDWR), FailsWith(ENOENT));
  Owned(OpenAt("link", O_CREAT | O_RDWR));
  EXPECT_TRUE(Exists("target"));
}

TEST_P(NamespaceTest, CreatingADanglingLinkExclusivelyIsEexist) {
  ASSERT_EQ(Symlink("target", "link"), 0);
  EXPECT_THAT(OpenAt("link", O_CREAT | O_EXCL | O_RDWR), FailsWith(EEXIST));
}

TEST_P(NamespaceTest, UnlinkTakesTheLinkAndLeavesItsTarget) {
  MakeFile("f");
  ASSERT_EQ(Symlink("f", "link"), 0);
  ASSERT_EQ(Unlink("link"), 0);
  EXPECT_TRUE(Exists("f"));
}

// ---- open.

TEST_P(NamespaceTest, CreatingWithASlashAtTheEndIsEisdir) {
  EXPECT_THAT(OpenAt("f/", O_CREAT | O_RDWR), FailsWith(EISDIR));
}

TEST_P(NamespaceTest, CreatingADirectoryThatIsThereIsEisdir) {
  ASSERT_EQ(MakeDir("d"), 0);
  EXPECT_THAT(OpenAt("d", O_CREAT | O_RDONLY), FailsWith(EISDIR));
  EXPECT_THAT(OpenAt("d", O_RDWR), FailsWith(EISDIR));
}

TEST_P(NamespaceTest, OpeningAFileAsADirectoryIsEnotdir) {
  MakeFile("f");
  EXPECT_THAT(OpenAt("f", O_RDONLY | O_DIRECTORY), FailsWith(ENOTDIR));
  EXPECT_THAT(OpenAt("f/", O_RDONLY), FailsWith(ENOTDIR));
}

TEST_P(NamespaceTest, TruncatingOpenEmptiesTheFileForEveryFd) {
  const int file = MakeFile("f", "contents");
  Owned(OpenAt("f", O_WRONLY | O_TRUNC));
  char buf[16];
  iocb read = ReadOf(file, absl::MakeSpan(buf));
  EXPECT_EQ(ResultOf(ctx_, &read), 0);
}

TEST_P(NamespaceTest, AnUnnamedFileTakesRequests) {
  const int file = Owned(aio().openat(AT_FDCWD, Path(".").c_str(), O_TMPFILE | O_RDWR, 0600));
  EXPECT_EQ(AttributesOf(file).st_nlink, 0u);
  iocb write = WriteOf(file, "contents");
  EXPECT_EQ(ResultOf(ctx_, &write), 8);
  EXPECT_EQ(ContentsOf(file), "contents");
}

TEST_P(NamespaceTest, AReadRequestOnADirectoryIsEinvalWhereReadIsEisdir) {
  char buf[16];
  iocb read = ReadOf(dir_, absl::MakeSpan(buf));
  EXPECT_THAT(SubmitOne(ctx_, &read), FailsWith(EINVAL));
  EXPECT_THAT(aio().read(dir_, buf, sizeof(buf)), FailsWith(EISDIR));
}

TEST_P(NamespaceTest, AnFsyncRequestOnADirectorySucceeds) {
  MakeFile("f");
  iocb fsync = FsyncOf(dir_);
  EXPECT_EQ(ResultOf(ctx_, &fsync), 0);
}

// ---- readdir.

TEST_P(NamespaceTest, GetdentsTellsNamesAndTypes) {
  MakeFile("file");
  ASSERT_EQ(MakeDir("directory"), 0);
  ASSERT_EQ(Symlink("file", "link"), 0);
  EXPECT_THAT(Entries(dir_), ElementsAre(Pair(".", DT_DIR), Pair("..", DT_DIR), Pair("directory", DT_DIR),
                                         Pair("file", DT_REG), Pair("link", DT_LNK)));
}

TEST_P(NamespaceTest, GetdentsInSmallPiecesTellsEveryNameOnce) {
  for (int i = 0; i < 50; ++i) MakeFile(absl::StrCat("file", i));
  EXPECT_EQ(Entries(dir_, /*buffer_size=*/64).size(), 52u);
}

TEST_P(NamespaceTest, GetdentsIntoTooSmallABufferIsEinval) {
  char buffer[8];
  EXPECT_THAT(aio().getdents64(dir_, buffer, sizeof(buffer)), FailsWith(EINVAL));
}

TEST_P(NamespaceTest, GetdentsOfAFileIsEnotdir) {
  char buffer[1024];
  EXPECT_THAT(aio().getdents64(MakeFile("f"), buffer, sizeof(buffer)), FailsWith(ENOTDIR));
}

TEST_P(NamespaceTest, ADirectoryIsReadAgainFromTheBeginning) {
  EXPECT_EQ(Entries(dir_).size(), 2u);
  MakeFile("f");
  ASSERT_EQ(aio().lseek(dir_, 0, SEEK_SET), 0);
  EXPECT_THAT(Entries(dir_), Contains(Pair("f", DT_REG)));
}

}  // namespace
}  // namespace aiolab
