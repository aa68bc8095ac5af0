#include "fleet/message_state.h"

#include <array>

namespace pgforeman {

std::optional<MessageState> next_state(MessageState state, MessageEvent event) {
  using enum MessageState;
  using Event = MessageEvent;
  switch (state) {
    case waiting:
      if (event == Event::start) return running;
      if (event == Event::end) return ended;
      if (event == Event::lose) return lost;
      break;
    case running:
      if (event == Event::end) return ended;
      if (event == Event::lose) return running_lost;
      break;
    case running_lost:
      if (event == Event::end) return lost;
      break;
    case ended:
      if (event == Event::settle_sent) return settling;
      break;
    case settling:
      if (event == Event::unanswered) return in_doubt;
      if (event == Event::not_settled) return ended;
      if (event == Event::settled) return settled;
      break;
    case in_doubt:
      if (event == Event::settled) return settled;
      if (event == Event::settle_sent || event == Event::unanswered) return in_doubt;
      if (event == Event::not_settled) return in_doubt;
      break;
    case settled:
    case lost:
      break;
  }
  return std::nullopt;
}

std::string_view to_string(MessageState state) {
  constexpr std::array<std::string_view, kMessageStates> kNames = {
      "settled", "waiting", "running", "running_lost", "ended", "settling", "in_doubt", "lost"};
  return kNames.at(static_cast<std::size_t>(state));
}

std::string_view to_string(MessageEvent event) {
  constexpr std::array<std::string_view, kMessageEvents> kNames = {
      "start", "end", "lose", "settle_sent", "unanswered", "not_settled", "settled"};
  return kNames.at(static_cast<std::size_t>(event));
}

}  // namespace pgforeman
