#include "dsrasq/core/child_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "dsrasq/core/error.h"

namespace dsrasq {
namespace {

constexpr const char* kInChildProcess = "core.child_process";
constexpr int kCannotRun = 127;  // as shells say it

// Closed when it goes.
class OpenFile {
 public:
  OpenFile(const std::filesystem::path& path, int flags)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {
    DSRASQ_CHECK(fd_ >= 0, kOutput, kInChildProcess, "cannot open ", path.string(), ": ",
                 std::strerror(errno));
  }
  ~OpenFile() { ::close(fd_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

std::vector<std::string> environment_with(std::map<std::string, std::string> variables) {
  std::vector<std::string> out;
  for (char** inherited = environ; *inherited != nullptr; ++inherited) {
    const std::string text = *inherited;
    if (!variables.contains(text.substr(0, text.find('=')))) out.push_back(text);
  }
  for (const auto& [name, value] : variables) out.push_back(concat(name, '=', value));
  return out;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// Between fork and exec only calls that are safe in a copy of a process with threads.
[[noreturn]] void become(char* const* words, char* const* environment, int input, int output,
                         int errors, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(kCannotRun);  // it ended before it could be watched
  if (::dup2(input, STDIN_FILENO) >= 0 && ::dup2(output, STDOUT_FILENO) >= 0 &&
      ::dup2(errors, STDERR_FILENO) >= 0)
    ::execve(words[0], words, environment);
  const char* why = std::strerror(errno);
  const char* const texts[] = {words[0], ": ", why, "\n"};
  for (const char* text : texts)
    if (::write(STDERR_FILENO, text, std::strlen(text)) < 0) break;
  ::_exit(kCannotRun);
}

}  // namespace

ChildProcess::ChildProcess(const ChildCommand& command) {
  std::vector<std::string> words = command.words;
  std::vector<std::string> environment = environment_with(command.variables);
  const std::vector<char*> word_list = pointers_to(words), variables = pointers_to(environment);
  const OpenFile input("/dev/null", O_RDONLY);
  const OpenFile output(command.output, O_WRONLY | O_CREAT | O_TRUNC);
  const OpenFile errors(command.errors, O_WRONLY | O_CREAT | O_TRUNC);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0)
    become(word_list.data(), variables.data(), input.fd(), output.fd(), errors.fd(), parent);
  DSRASQ_CHECK(pid_ > 0, kResourceExhausted, kInChildProcess, "cannot start ", words[0], ": ",
               std::strerror(errno));
}

ChildProcess::~ChildProcess() {
  if (exit_status()) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
}

std::optional<int> ChildProcess::exit_status() {
  int status = 0;
  if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_)
    status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return status_;
}

void ChildProcess::send(int signal) {
  if (!exit_status()) ::kill(pid_, signal);
}

}  // namespace dsrasq
