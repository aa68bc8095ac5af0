// Bytes to the endpoint. The first says how many of the others come at a time.

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "fuzz/must.h"
#include "supervisor/request_reader.h"

using namespace pgforeman;
using pgforeman::test::must;

namespace {

/// False when the stream is over.
bool take_requests(RequestReader& reader, std::size_t& requests) {
  for (;;) {
    const auto next = reader.next();
    if (std::holds_alternative<NeedMore>(next)) return true;
    if (const auto* refusal = std::get_if<Refusal>(&next)) {
      must(refusal->status >= 400 && refusal->status < 600, "a refusal is an error's status");
      must(!refusal->reason.empty(), "a refusal has a reason");
      return false;
    }
    const auto& request = std::get<HttpRequest>(next);
    must(!request.method.empty() && !request.target.empty(), "a request has method and target");
    must(request.method.size() + request.target.size() <= kMaxHeaderBytes, "a header is bounded");
    ++requests;
    if (request.has_body) return false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t piece = data[0] + 1U;
  RequestReader reader;
  std::size_t requests = 0;
  while (!rest.empty()) {
    must(reader.room() > 0, "who wants more has room for it");
    const std::size_t now = std::min({piece, rest.size(), reader.room()});
    reader.append(rest.substr(0, now));
    rest.remove_prefix(now);
    if (!take_requests(reader, requests)) break;
  }
  must(requests <= size / 10, "a request is more than ten bytes");
  return 0;
}
