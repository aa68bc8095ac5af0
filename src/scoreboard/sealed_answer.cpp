#include "scoreboard/sealed_answer.h"

#include <atomic>
#include <functional>
#include <string_view>
#include <utility>

namespace pgforeman {
namespace {

std::uint64_t seal_of(const SealedAnswer::Head& head, std::string_view payload,
                      std::string_view headers) {
  const std::hash<std::string_view> hash;
  const std::string_view numbers{reinterpret_cast<const char*>(&head), sizeof head};
  return hash(numbers) + 31 * hash(payload) + 961 * hash(headers);
}

}  // namespace

void write_answer(SealedAnswer& to, std::int64_t token, const Message* message, bool look_again) {
  SealedAnswer::Head head{};
  std::string_view payload, headers;
  head.token = token;
  head.look_again = look_again ? 1 : 0;
  if (message != nullptr) {
    head.id = message->lease.id;
    head.lane = message->lane;
    head.attempt = message->attempt;
    head.fence = message->fence;
    head.fruitless = message->fruitless;
    head.enqueued_us = message->enqueued_at.time_since_epoch().count();
    const std::size_t size = message->payload.size() + message->headers.size();
    head.fits = !message->payload.empty() && size <= to.text.size() ? 1 : 0;
    if (head.fits != 0) {
      payload = message->payload;
      headers = message->headers;
    }
  }
  head.payload_size = static_cast<std::int64_t>(payload.size());
  head.headers_size = static_cast<std::int64_t>(headers.size());
  to.head = head;
  payload.copy(to.text.data(), payload.size());
  headers.copy(to.text.data() + payload.size(), headers.size());
  to.seal = seal_of(head, payload, headers);
}

std::optional<ClaimAnswer> read_answer(const SealedAnswer& from, std::int64_t token) {
  // What is checked is a copy: anybody may write there meanwhile.
  const auto head = from.head;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  const auto room = static_cast<std::int64_t>(from.text.size());
  const auto may_be = [&](std::int64_t size) { return size >= 0 && size <= room; };
  if (!may_be(head.payload_size) || !may_be(head.headers_size)) return std::nullopt;
  if (head.payload_size + head.headers_size > room) return std::nullopt;
  const auto payload_size = static_cast<std::size_t>(head.payload_size);
  Message message;
  message.payload.assign(from.text.data(), payload_size);
  message.headers.assign(from.text.data() + payload_size,
                         static_cast<std::size_t>(head.headers_size));
  const bool sealed = seal_of(head, message.payload, message.headers) == from.seal;
  if (!sealed || head.token != token) return std::nullopt;
  ClaimAnswer answer{std::nullopt, head.fits != 0, head.look_again != 0};
  if (head.id == 0) return answer;
  message.lease = {head.id, head.token};
  message.lane = static_cast<int>(head.lane);
  message.attempt = static_cast<int>(head.attempt);
  message.fence = head.fence;
  message.fruitless = head.fruitless;
  message.enqueued_at =
      std::chrono::sys_time<std::chrono::microseconds>{std::chrono::microseconds{head.enqueued_us}};
  answer.message = std::move(message);
  return answer;
}

}  // namespace pgforeman
