#include "base/byte_size.h"

#include <array>
#include <utility>

#include "base/quantity.h"

namespace pgforeman {
namespace {

constexpr std::array<QuantityUnit, 4> kSizeUnits = {
    {{"GiB", std::int64_t{1} << 30U}, {"MiB", 1 << 20U}, {"KiB", 1 << 10U}, {"", 1}}};
constexpr Quantity kByteSize = {kSizeUnits, "KiB, MiB or GiB", "bytes", "is too large"};

}  // namespace

Parsed<ByteSize> parse_byte_size(std::string_view text) {
  auto bytes = parse_quantity(kByteSize, text);
  return bytes ? Parsed<ByteSize>::ok(ByteSize{*bytes.value})
               : Parsed<ByteSize>::wrong(std::move(bytes.problem));
}

std::string format_byte_size(ByteSize size) {
  return size.bytes == 0 ? "0" : format_quantity(kByteSize, size.bytes);
}

}  // namespace pgforeman
