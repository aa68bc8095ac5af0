#include "fleet/message_state.h"

#include <map>
#include <utility>

#include "support/catch.h"

using namespace pgforeman;

TEST_CASE("A message changes its state only as the table says", "[message_state]") {
  using enum MessageState;
  using Event = MessageEvent;
  const std::map<std::pair<MessageState, Event>, MessageState> table = {
      {{waiting, Event::start}, running},
      {{waiting, Event::end}, ended},
      {{waiting, Event::lose}, lost},
      {{running, Event::end}, ended},
      {{running, Event::lose}, running_lost},
      {{running_lost, Event::end}, lost},
      {{ended, Event::settle_sent}, settling},
      {{settling, Event::unanswered}, in_doubt},
      {{settling, Event::settled}, settled},
      {{settling, Event::not_settled}, ended},
      {{in_doubt, Event::settle_sent}, in_doubt},
      {{in_doubt, Event::unanswered}, in_doubt},
      {{in_doubt, Event::settled}, settled},
      {{in_doubt, Event::not_settled}, in_doubt},
  };
  for (int s = 0; s < kMessageStates; ++s) {
    for (int e = 0; e < kMessageEvents; ++e) {
      const auto state = static_cast<MessageState>(s);
      const auto event = static_cast<Event>(e);
      INFO(to_string(state) << ", " << to_string(event));
      const auto found = table.find({state, event});
      const auto expected = found == table.end() ? std::nullopt : std::optional(found->second);
      CHECK((next_state(state, event) == expected));
    }
  }
}
