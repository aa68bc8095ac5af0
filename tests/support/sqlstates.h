#pragma once
// One SQLSTATE of each class that a server may report, as the documentation of PostgreSQL lists
// them
// ("PostgreSQL Error Codes"), and those that this daemon treats apart.

#include <string>
#include <vector>

namespace pgforeman::test {

inline const std::vector<std::string>& sqlstates() {
  static const std::vector<std::string> all = {
      "03000", "08000", "08006", "09000", "0A000", "0B000", "0F000", "0L000", "0P000",
      "0Z000", "20000", "21000", "22000", "22P05", "23000", "23505", "24000", "25000",
      "25006", "25P03", "26000", "27000", "28000", "2B000", "2D000", "2F000", "34000",
      "38000", "39000", "3B000", "3D000", "3F000", "40000", "40001", "40P01", "42000",
      "42501", "42703", "42704", "42883", "42P01", "44000", "53000", "53100", "53200",
      "54000", "55000", "55P03", "57000", "57014", "57P01", "57P05", "58000", "58030",
      "72000", "F0000", "HV000", "P0000", "P0001", "XX000", "XX001", "XX002"};
  return all;
}

}  // namespace pgforeman::test
