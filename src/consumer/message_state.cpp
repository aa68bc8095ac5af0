#include "consumer/message_state.h"

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
    case in_doubt:
      if (event == Event::unanswered) return in_doubt;
      if (event == Event::deferred) return state;
      if (event == Event::settled) return settled;
      break;
    case settled:
    case lost:
      break;
  }
  return std::nullopt;
}

std::string_view to_string(MessageState state) {
  constexpr std::array<std::string_view, kMessageStates> kNames = {
      "waiting", "running", "running_lost", "ended", "in_doubt", "settled", "lost"};
  return kNames.at(static_cast<std::size_t>(state));
}

std::string_view to_string(MessageEvent event) {
  constexpr std::array<std::string_view, kMessageEvents> kNames = {
      "start", "end", "lose", "unanswered", "deferred", "settled"};
  return kNames.at(static_cast<std::size_t>(event));
}

}  // namespace pgforeman
