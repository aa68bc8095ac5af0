#include "system/oom_score.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace pgforeman {
namespace {

constexpr char kOwnScore[] = "/proc/self/oom_score_adj";
// Added to a handler's score, in thousandths of the memory: it counts as if it used a tenth more.
constexpr int kRaise = 100;
constexpr int kMostScore = 1000;

}  // namespace

HandlerOomScore::HandlerOomScore() {
  std::ifstream file(kOwnScore);
  int own = 0;
  if (!(file >> own)) return;
  const std::string text = std::to_string(std::min(kMostScore, own + kRaise));
  size_ = static_cast<unsigned>(std::min(text.size(), text_.size()));
  std::copy_n(text.begin(), size_, text_.begin());
}

void HandlerOomScore::apply() const noexcept {
  if (size_ == 0) return;
  const int fd = ::open(kOwnScore, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  (void)!::write(fd, text_.data(), size_);
  ::close(fd);
}

}  // namespace pgforeman
