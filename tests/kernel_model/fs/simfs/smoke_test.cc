#include <errno.h>
#include <sys/stat.h>
#include <string.h>
#include <memory>
#include <string>
#include "gtest/gtest.h"
#include "kernel_model/drivers/block/sim_disk.h"
#include "kernel_model/fs/simfs/simfs.h"
#include "kernel_model/machine.h"
#include "kernel_model/sim/chooser.h"
namespace aiolab {
namespace {
TEST(Smoke, A) {
  SeededChooser chooser(7);
  Machine machine({.chooser = &chooser});
  SimDiskParameters parameters;
  parameters.size_bytes = 4 << 20;
  SimDisk disk(machine.kernel(), parameters);
  Machine::Entry entry(machine, "test");
  std::string problem;
  ASSERT_EQ(simfs::mkfs(disk, {.disk_bytes = 4 << 20}, &problem), 0) << problem;
  std::unique_ptr<super_block> sb;
  ASSERT_EQ(simfs::mount(disk, {}, &sb, &problem), 0) << problem;
  for (int round = 0; round < 40; ++round) {
    inode& root = *sb->s_root;
    std::shared_ptr<inode> node;
    std::string name = "f" + std::to_string(round);
    ASSERT_EQ(root.i_op->create(root, name, S_IFREG | 0644, &node), 0);
    file filp;
    filp.f_inode = node;
    filp.f_op = node->i_fop;
    filp.f_mode = FMODE_READ | FMODE_WRITE | node->i_fmode;
    filp.f_op->open(*node, &filp);
    std::string bytes(10000, 'a' + round % 26);
    iov_iter iter;
    ASSERT_EQ(import_single_range(bytes.data(), bytes.size(), &iter), 0);
    kiocb iocb;
    iocb.ki_filp = &filp;
    iocb.ki_flags = IOCB_WRITE;
    ASSERT_EQ(filp.f_op->write_iter(&iocb, &iter), 10000);
    fsync_state state;
    ASSERT_EQ(filp.f_op->fsync(&filp, 0, &state), 0);
    if (round % 3 == 0) root.i_op->unlink(root, name);
  }
  {
    fsync_state state;
    sb->s_op->sync_fs(*sb, 1);
    sb->s_op->put_super(*sb);
    sb.reset();
  }
  simfs::Image image;
  const auto read = [&](uint64_t first, uint64_t blocks, char* to) {
    disk.bytes().Read(first * 8, absl::MakeSpan(to, blocks * 4096));
    return 0;
  };
  ASSERT_EQ(simfs::ReadImage(read, &image, &problem), 0) << problem;
  for (const auto& p : simfs::Check(image)) ADD_FAILURE() << p;
  EXPECT_EQ(image.seq, 41u) << image.checkpoint_seq;
  ASSERT_EQ(simfs::mount(disk, {}, &sb, &problem), 0) << problem;
  std::shared_ptr<inode> node;
  inode& root = *sb->s_root;
  ASSERT_EQ(root.i_op->lookup(root, "f1", &node), 0);
  ASSERT_NE(node, nullptr);
  EXPECT_EQ(node->i_size, 10000);
  {
    file filp;
    filp.f_inode = node;
    filp.f_op = node->i_fop;
    filp.f_mode = FMODE_READ | FMODE_WRITE | node->i_fmode;
    filp.f_op->open(*node, &filp);
    std::string bytes(10000, 'x');
    iov_iter iter;
    ASSERT_EQ(import_single_range(bytes.data(), bytes.size(), &iter), 0);
    kiocb iocb;
    iocb.ki_filp = &filp;
    ASSERT_EQ(filp.f_op->read_iter(&iocb, &iter), 10000);
    EXPECT_EQ(bytes, std::string(10000, 'b'));
  }
  node.reset();
  sb->s_op->put_super(*sb);
  sb.reset();
}
}  // namespace
}  // namespace aiolab
