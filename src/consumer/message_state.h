#pragma once
// The states of a message that a consumer has leased, and the one function that changes them. Pure.
//
//   waiting ──start──> running ──end──> ended ──settled──> settled
//      │ └──────────────end───────────────┘ ^ │
//      │                  │     deferred ───┘ └─unanswered─> in_doubt ──settled──> settled
//      └──lose──> lost    └──lose──> running_lost ──end──> lost

#include <cstdint>
#include <optional>
#include <string_view>

namespace pgforeman {

enum class MessageState : std::uint8_t {
  waiting,       ///< leased, its run has not begun
  running,       ///< its handler runs
  running_lost,  ///< the same, but its lease has another holder: the handler is being ended
  ended,         ///< has an outcome that the queue does not know yet
  in_doubt,      ///< the same, and the answer to a settle was lost: it may be settled already
  settled,       ///< the queue knows its outcome, or refused it for good
  lost,          ///< its lease has another holder
};
inline constexpr int kMessageStates = 7;

enum class MessageEvent : std::uint8_t {
  start,       ///< its handler is called
  end,         ///< it has an outcome, of a run or without one (released, claimed too often)
  lose,        ///< the queue says that its lease has another holder
  unanswered,  ///< a settle was sent, and its session was lost before the answer
  deferred,    ///< a settle was answered: another transaction has locked its row
  settled,     ///< a settle was answered
};
inline constexpr int kMessageEvents = 6;

/// The state after `event`; nothing when it cannot happen in this state.
std::optional<MessageState> next_state(MessageState state, MessageEvent event);

std::string_view to_string(MessageState state);
std::string_view to_string(MessageEvent event);

}  // namespace pgforeman
