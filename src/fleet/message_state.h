#pragma once
// The states of a message that a consumer has leased, and the one function that changes them. Pure.
// The consumer keeps each message's state in its batch and writes it into its ledger, where
// maintenance reads it once the consumer is dead.
//
//   waiting ──start──> running ──end──> ended ──settle_sent──> settling ──settled──> settled
//      │ └──────────────end───────────────┘ ^───not_settled────┘ │
//      │                  │                        unanswered────┴──> in_doubt ──settled──> settled
//      └──lose──> lost    └──lose──> running_lost ──end──> lost

#include <cstdint>
#include <optional>
#include <string_view>

namespace pgforeman {

enum class MessageState : std::uint8_t {
  settled,       ///< the queue has its outcome or refused it for good; in a ledger: no message
  waiting,       ///< leased, its run has not begun
  running,       ///< its handler runs
  running_lost,  ///< its handler is being ended, because another holder has the lease
  ended,         ///< has an outcome that the queue does not know yet
  settling,      ///< ended, and a settle was sent that is not answered yet
  in_doubt,      ///< ended, and the answer to a settle was lost: it may be settled already
  lost,          ///< another holder has the lease
};
inline constexpr int kMessageStates = 8;

enum class MessageEvent : std::uint8_t {
  start,        ///< its handler is called
  end,          ///< it has an outcome, from a run or without one (released, claimed too often)
  lose,         ///< the queue says that another holder has the lease
  settle_sent,  ///< a settle is about to be sent
  unanswered,   ///< the session was lost before the settle was answered
  not_settled,  ///< the settle was answered but changed nothing: a locked row, or an error
  settled,      ///< the settle was answered and is final
};
inline constexpr int kMessageEvents = 7;

/// True if the message has an outcome that the queue may not know.
constexpr bool is_unsettled(MessageState state) {
  using enum MessageState;
  return state == ended || state == settling || state == in_doubt;
}

/// Returns the state after `event`; nothing if the event cannot happen in `state`.
[[nodiscard]] std::optional<MessageState> next_state(MessageState state, MessageEvent event);

std::string_view to_string(MessageState state);
std::string_view to_string(MessageEvent event);

}  // namespace pgforeman
