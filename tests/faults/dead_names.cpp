// Preloaded into the daemon: while there is a file $DEAD_NAMES_FILE looking up a name ends only
// when the file is gone, or fails after 20 s, as behind a resolver whose servers are away.

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>

extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints,
                           addrinfo** result) {
  using Real = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const Real real = reinterpret_cast<Real>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  in6_addr address;
  const bool is_name = name != nullptr && ::inet_pton(AF_INET, name, &address) != 1 &&
                       ::inet_pton(AF_INET6, name, &address) != 1;
  const char* sign = std::getenv("DEAD_NAMES_FILE");
  for (int i = 0; is_name && sign != nullptr && ::access(sign, F_OK) == 0; ++i) {
    if (i == 400) return EAI_AGAIN;
    ::poll(nullptr, 0, 50);
  }
  return real(name, service, hints, result);
}
