#pragma once
// Faults of the fleets' own processes.

#include <csignal>

#include "faults/fault.h"

namespace pgforeman::test {

Fault::How signal_consumer(int number);
Fault::How signal_handler(int number);
Fault::How signal_maintenance(int number);
Fault::How signal_supervisor(int number);

std::optional<Fault::Struck> stop_consumer(Stage& stage, Dice& dice);
std::optional<Fault::Struck> stop_handler(Stage& stage, Dice& dice);
std::optional<Fault::Struck> stop_maintenance(Stage& stage, Dice& dice);
std::optional<Fault::Struck> kill_supervisor(Stage& stage, Dice& dice);
std::optional<Fault::Struck> freeze_fleet(Stage& stage, Dice& dice);
std::optional<Fault::Struck> deploy(Stage& stage, Dice& dice);
std::optional<Fault::Struck> resize(Stage& stage, Dice& dice);
std::optional<Fault::Struck> garbage(Stage& stage, Dice& dice);
std::optional<Fault::Struck> tell_all(Stage& stage, Dice& dice);
std::optional<Fault::Struck> kill_group(Stage& stage, Dice& dice);
std::optional<Fault::Struck> signal_of_a_limit(Stage& stage, Dice& dice);
std::optional<Fault::Struck> exit_0_on_term(Stage& stage, Dice& dice);
std::optional<Fault::Struck> tell_handler(Stage& stage, Dice& dice);
std::optional<Fault::Struck> no_descriptors(Stage& stage, Dice& dice);

}  // namespace pgforeman::test
